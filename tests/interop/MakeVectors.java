import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeSet;
import javax.crypto.SecretKeyFactory;
import javax.crypto.interfaces.PBEKey;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.jcajce.BCFKSLoadStoreParameter;
import org.bouncycastle.jcajce.BCFKSLoadStoreParameter.EncryptionAlgorithm;
import org.bouncycastle.jcajce.BCFKSLoadStoreParameter.SignatureAlgorithm;
import org.bouncycastle.jcajce.PKCS12StoreParameter;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * Makes tests/vectors/bc-current with a current Bouncy Castle: java -cp bcprov.jar MakeVectors.java tests/vectors/keystores TARGET
 *
 * Keys and certificates come from the older vectors. The manifest tells what Bouncy Castle reads in each file that it wrote.
 */
public class MakeVectors {
    private static final char[] PASSWORD = "changeit".toCharArray();
    private static final char[] KEY_PASSWORD = "keypass99".toCharArray();
    private static final char[] OTHER = "p\u00e4ss\u9375\ud83d\udd11".toCharArray();
    private static final byte[] SECRET = "0123456789abcdefghijklmnopqrstuv".getBytes();

    private final Path target;
    private final KeyStore mixed, odd;
    private final List<String> manifest = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Files.createDirectories(Path.of(args[1]));
        var made = new MakeVectors(Path.of(args[0]), Path.of(args[1]));
        made.protectedByPassword();
        made.signed();
        made.pkcs12();
        made.writeManifest();
    }

    private MakeVectors(Path source, Path target) throws Exception {
        this.target = target;
        mixed = load("BCFKS", Files.readAllBytes(source.resolve("bcfks-mixed.bcfks")), PASSWORD);
        odd = load("BCFKS", Files.readAllBytes(source.resolve("bcfks-weak-and-odd.bcfks")), PASSWORD);
    }

    private void protectedByPassword() throws Exception {
        KeyStore all = copy("BCFKS", PASSWORD, "server", "ec", "ca", "aes");
        save("bcfks-default.bcfks", "as keytool has it written", all, PASSWORD);
        save("bcfks-secret-keys.bcfks", "every kind of secret key that BCFKS has an identifier for", secretKeys(), PASSWORD);
        save("bcfks-pbe-keys.bcfks", "object type 5; 'own' has a key password of its own, 'none' the empty one", pbeKeys(), PASSWORD);
        save("bcfks-protected-bytes.bcfks", "object type 4 with bytes that are no encrypted key: Bouncy Castle takes any", anyBytes(), PASSWORD);
        var kwp = new BCFKSLoadStoreParameter.Builder((InputStream) null, OTHER).withStoreEncryptionAlgorithm(EncryptionAlgorithm.AES256_KWP);
        KeyStore wrapped = KeyStore.getInstance("BCFKS", "BC");
        wrapped.load(kwp.build());
        putPbeKeys(wrapped, OTHER);
        wrapped.setKeyEntry("aes", new SecretKeySpec(SECRET, "AES"), OTHER, null);
        save("bcfks-pbe-keys-kwp.bcfks", "object type 5 under key wrap", wrapped, OTHER);
    }

    private void signed() throws Exception {
        signed("bcfks-signed-ec-sha512.bcfks", mixed, "ec", SignatureAlgorithm.SHA512withECDSA, null, true);
        signed("bcfks-signed-ec-sha3-512.bcfks", mixed, "ec", SignatureAlgorithm.SHA3_512withECDSA, PASSWORD, false);
        signed("bcfks-signed-dsa-sha512.bcfks", odd, "weak-dsa2048", SignatureAlgorithm.SHA512withDSA, null, true);
        signed("bcfks-signed-dsa-sha3-512.bcfks", odd, "weak-dsa2048", SignatureAlgorithm.SHA3_512withDSA, null, false);
        signed("bcfks-signed-rsa-sha512.bcfks", mixed, "server", SignatureAlgorithm.SHA512withRSA, OTHER, true);
        signed("bcfks-signed-rsa-sha3-512.bcfks", mixed, "server", SignatureAlgorithm.SHA3_512withRSA, null, true);
    }

    private void signed(String file, KeyStore of, String alias, SignatureAlgorithm algorithm, char[] password, boolean certificates)
        throws Exception {
        var bytes = new ByteArrayOutputStream();
        var how = new BCFKSLoadStoreParameter.Builder(bytes, (PrivateKey) of.getKey(alias, PASSWORD)).withStoreSignatureAlgorithm(algorithm);
        if (certificates) {
            how.withCertificates(new X509Certificate[] {(X509Certificate) of.getCertificate(alias)});
        }
        KeyStore store = copy("BCFKS", password, "server", "ca", "aes");
        store.store(how.build());
        Files.write(target.resolve(file), bytes.toByteArray());
        var in = new BCFKSLoadStoreParameter.Builder(new ByteArrayInputStream(bytes.toByteArray()), of.getCertificate(alias).getPublicKey());
        KeyStore again = KeyStore.getInstance("BCFKS", "BC");
        again.load(in.withStoreSignatureAlgorithm(algorithm).build());
        String more = quoted("signer_sha256", sha256(of.getCertificate(alias).getEncoded())) + quoted("signature", algorithm.name());
        describe(file, (certificates ? "the signer's certificate is in it" : "without the signer's certificate"), again, "BCFKS", null, password, more);
    }

    private void pkcs12() throws Exception {
        save("p12-pbmac1.p12", "PBMAC1 of Bouncy Castle's own choice", copy("PKCS12-PBMAC1", PASSWORD, "server", "ec", "ca"), PASSWORD);
        save("p12-pbmac1-utf8.p12", "PBMAC1 (UTF-8) beside PBES1 (UTF-16), password beyond ASCII",
            copy("PKCS12-PBMAC1", OTHER, "server", "ca"), OTHER);
        for (String kind : List.of("PKCS12", "PKCS12-AES256-AES128", "PKCS12-AES256-AES128-GCM")) {
            save("p12-" + kind.substring(6).replaceFirst("^-", "").toLowerCase().replaceFirst("^$", "default") + ".p12", "store type " + kind,
                copy(kind, PASSWORD, "server", "ca"), PASSWORD);
        }
        byte[] salt = new byte[64];
        new SecureRandom().nextBytes(salt);
        var mac = PKCS12StoreParameter.pbmac1WithPBKDF2Builder().setSalt(salt).setIterationCount(20000).setKeySize(512)
            .setPrf(PKCSObjectIdentifiers.id_hmacWithSHA512).setMac(PKCSObjectIdentifiers.id_hmacWithSHA256).build();
        var bytes = new ByteArrayOutputStream();
        copy("PKCS12-AES256-AES128", OTHER, "server", "ec").store(PKCS12StoreParameter.builder(bytes, OTHER).setMacAlgorithm(mac).build());
        Files.write(target.resolve("p12-pbmac1-sha512-aes.p12"), bytes.toByteArray());
        KeyStore again = load("PKCS12", bytes.toByteArray(), OTHER);
        describe("p12-pbmac1-sha512-aes.p12", "PBMAC1: PBKDF2 with SHA-512, HMAC-SHA256; PBES2", again, "PKCS12", OTHER, OTHER, "");
    }

    private KeyStore copy(String type, char[] password, String... aliases) throws Exception {
        KeyStore store = KeyStore.getInstance(type, "BC");
        store.load(null, null);
        for (String alias : aliases) {
            if (mixed.isCertificateEntry(alias)) {
                store.setCertificateEntry(alias, mixed.getCertificate(alias));
            } else {
                store.setKeyEntry(alias, mixed.getKey(alias, PASSWORD), password, mixed.getCertificateChain(alias));
            }
        }
        return store;
    }

    private static KeyStore secretKeys() throws Exception {
        KeyStore store = KeyStore.getInstance("BCFKS", "BC");
        store.load(null, null);
        for (String name : List.of("AES", "HmacSHA1", "HmacSHA224", "HmacSHA256", "HmacSHA384", "HmacSHA512", "HmacSHA512/224", "HmacSHA512/256",
                "HmacSHA3-224", "HmacSHA3-256", "HmacSHA3-384", "HmacSHA3-512", "KMAC128", "KMAC256", "SEED", "Camellia", "ARIA", "DESede")) {
            int size = name.equals("SEED") ? 16 : name.equals("DESede") ? 24 : 32;
            store.setKeyEntry(name, new SecretKeySpec(Arrays.copyOf(SECRET, size), name), PASSWORD, null);
        }
        return store;
    }

    private static KeyStore pbeKeys() throws Exception {
        KeyStore store = KeyStore.getInstance("BCFKS", "BC");
        store.load(null, null);
        putPbeKeys(store, PASSWORD);
        store.setKeyEntry("own", pbe("PBKDF2WithHmacSHA512", "another one".toCharArray(), 8192, 512), KEY_PASSWORD, null);
        store.setKeyEntry("none", pbe("PBKDF2WithHmacSHA256", "x".toCharArray(), 1000, 128), null, null);
        store.setKeyEntry("aes", new SecretKeySpec(SECRET, "AES"), PASSWORD, null);
        return store;
    }

    private static void putPbeKeys(KeyStore store, char[] password) throws Exception {
        store.setKeyEntry("pbkdf2", pbe("PBKDF2WithHmacSHA256", "secretPassword".toCharArray(), 4096, 256), password, null);
        store.setKeyEntry("pbes1", SecretKeyFactory.getInstance("PBEWITHSHA256AND256BITAES-CBC-BC", "BC")
            .generateSecret(new PBEKeySpec(OTHER)), password, null);
    }

    private static Key pbe(String name, char[] password, int iterations, int bits) throws Exception {
        byte[] salt = HexFormat.of().parseHex("000102030405060708090a0b0c0d0e0f");
        return SecretKeyFactory.getInstance(name, "BC").generateSecret(new PBEKeySpec(password, salt, iterations, bits));
    }

    private KeyStore anyBytes() throws Exception {
        KeyStore store = copy("BCFKS", PASSWORD, "server");
        store.setKeyEntry("bytes", "whatever the caller likes".getBytes(), null);
        return store;
    }

    private void save(String file, String note, KeyStore store, char[] password) throws Exception {
        var bytes = new ByteArrayOutputStream();
        store.store(bytes, password);
        Files.write(target.resolve(file), bytes.toByteArray());
        String type = store.getType().replaceFirst("-.*", "");
        String reader = store.getType().equals("PKCS12-PBMAC1") ? "PKCS12-PBMAC1" : type;
        describe(file, note, load(reader, bytes.toByteArray(), password), type, password, password, "");
    }

    private static KeyStore load(String type, byte[] data, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance(type, "BC");
        store.load(new ByteArrayInputStream(data), password);
        return store;
    }

    private void describe(String file, String note, KeyStore store, String type, char[] password, char[] keyPassword, String more) throws Exception {
        List<String> entries = new ArrayList<>();
        for (String alias : new TreeSet<>(java.util.Collections.list(store.aliases()))) {
            entries.add("    {" + stripped(entry(store, alias, keyPassword)) + "}");
        }
        byte[] data = Files.readAllBytes(target.resolve(file));
        String head = quoted("file", file) + quoted("type", type) + "\"size\": " + data.length + ", " + quoted("sha256", sha256(data))
            + quoted("store_password", password == null ? null : new String(password)) + quoted("note", note) + more;
        manifest.add("  {" + head + "\"entries\": [\n" + String.join(",\n", entries) + "]}");
    }

    private static String entry(KeyStore store, String alias, char[] password) throws Exception {
        Certificate[] chain = store.isCertificateEntry(alias)
            ? new Certificate[] {store.getCertificate(alias)} : store.getCertificateChain(alias);
        List<String> digests = new ArrayList<>();
        for (Certificate certificate : chain == null ? new Certificate[0] : chain) {
            digests.add('"' + sha256(certificate.getEncoded()) + '"');
        }
        return quoted("alias", alias) + "\"certs\": [" + String.join(", ", digests) + "], " + key(store, alias, password);
    }

    private static String key(KeyStore store, String alias, char[] password) throws Exception {
        if (store.isCertificateEntry(alias)) {
            return quoted("kind", "trusted_cert");
        }
        char[] own = alias.equals("own") ? KEY_PASSWORD : alias.equals("none") ? null : password;
        try {
            Key key = store.getKey(alias, own);
            String head = quoted("key_password", own == null ? null : new String(own)) + quoted("alg", key.getAlgorithm());
            if (key instanceof PBEKey pbe) {
                return head + quoted("kind", "pbe_key") + quoted("password", new String(pbe.getPassword()))
                    + quoted("salt", pbe.getSalt() == null ? null : HexFormat.of().formatHex(pbe.getSalt()))
                    + "\"iterations\": " + pbe.getIterationCount() + ", "
                    + quoted("key_sha256", pbe.getEncoded() == null ? null : sha256(pbe.getEncoded()));
            }
            boolean secret = !(key instanceof PrivateKey);
            return head + quoted("kind", secret ? "secret_key" : "private_key")
                + quoted(secret ? "key_sha256" : "pkcs8_sha256", sha256(key.getEncoded()));
        } catch (Exception error) {
            return quoted("java_get_key_error", error.getMessage());
        }
    }

    private void writeManifest() throws Exception {
        String head = "{\n " + quoted("made_with", "OpenJDK " + Runtime.version() + ", bcprov-jdk18on "
            + Security.getProvider("BC").getVersionStr()).strip() + "\n \"files\": [\n";
        Files.writeString(target.resolve("manifest.json"), head + String.join(",\n", manifest) + "\n ]\n}\n");
    }

    private static String quoted(String name, String value) {
        return "\"" + name + "\": " + (value == null ? "null" : "\"" + value.replace("\\", "\\\\").replace("\"", "\\\"") + "\"") + ", ";
    }

    private static String stripped(String fields) {
        return fields.substring(0, fields.length() - 2);
    }

    private static String sha256(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }
}
