import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.util.Base64;
import java.util.Collections;
import java.util.HexFormat;

/**
 * Loads BCFKS stores with Bouncy Castle and says what is in them, one line an entry, fields between tabs:
 * file, alias (base64 of UTF-8), kind, SHA-256 of the encoded key, SHA-256 of each certificate, whether a signature made
 * with the key verifies under the first certificate.
 *
 * Arguments come from a file, one store in three lines: path, store password, key password (base64 of UTF-8; "-" is null).
 */
public class StoreChecker {
    public static void main(String[] args) throws Exception {
        java.security.Security.addProvider(new org.bouncycastle.jce.provider.BouncyCastleProvider());
        var lines = Files.readAllLines(Path.of(args[0]));
        for (int i = 0; i + 2 < lines.size(); i += 3) {
            check(lines.get(i), password(lines.get(i + 1)), password(lines.get(i + 2)));
        }
    }

    private static char[] password(String line) {
        return line.equals("-") ? null : new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8).toCharArray();
    }

    private static void check(String path, char[] storePassword, char[] keyPassword) throws Exception {
        KeyStore store = KeyStore.getInstance("BCFKS", "BC");
        try (var file = new FileInputStream(path)) {
            store.load(file, storePassword);
        }
        for (String alias : Collections.list(store.aliases())) {
            String name = Base64.getEncoder().encodeToString(alias.getBytes(StandardCharsets.UTF_8));
            String prefix = Path.of(path).getFileName() + "\t" + name + "\t";
            if (store.isCertificateEntry(alias)) {
                System.out.println(prefix + "certificate\t-\t" + digest(store.getCertificate(alias).getEncoded()) + "\t-");
                continue;
            }
            Key key = store.getKey(alias, keyPassword);
            Certificate[] chain = store.getCertificateChain(alias);
            if (!(key instanceof PrivateKey)) {
                System.out.println(prefix + "secret\t" + digest(key.getEncoded()) + "\t-\t-");
                continue;
            }
            String digests = "";
            for (Certificate certificate : chain) {
                digests += (digests.isEmpty() ? "" : ",") + digest(certificate.getEncoded());
            }
            System.out.println(prefix + "private\t" + digest(key.getEncoded()) + "\t" + digests + "\t" + signs((PrivateKey) key, chain[0]));
        }
    }

    private static boolean signs(PrivateKey key, Certificate leaf) throws Exception {
        Signature signature = Signature.getInstance(key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA");
        signature.initSign(key);
        signature.update(new byte[] {1, 2, 3});
        byte[] made = signature.sign();
        signature.initVerify(leaf.getPublicKey());
        signature.update(new byte[] {1, 2, 3});
        return signature.verify(made);
    }

    private static String digest(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }
}
