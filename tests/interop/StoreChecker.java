import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.Signature;
import java.security.cert.Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.crypto.interfaces.PBEKey;
import org.bouncycastle.crypto.util.PBKDF2Config;
import org.bouncycastle.crypto.util.ScryptConfig;
import org.bouncycastle.jcajce.BCFKSLoadStoreParameter;

/**
 * The other side: reads and writes keystores with one of Bouncy Castle's providers, as long as its standard input is open.
 *
 * Argument: the provider's class. A request is one line of fields between tabs, a reply is any number of such lines and one
 * with a full stop. Texts are base64 of UTF-16BE, so that any password goes through; "-" is null. Verbs:
 *
 *   read PATH TYPE PASSWORD KEY-PASSWORDS
 *       one line an entry: alias, kind (private, secret, pbe, certificate, sealed), algorithm (of a PBE key: with password, salt
 *       in hex and iterations, between commas), key (base64), SHA-256 of each certificate, created (ms), what came of signing with the key and verifying with the first certificate
 *   copy PATH TYPE PASSWORD KEY-PASSWORDS  NEW-PATH NEW-TYPE NEW-PASSWORD NEW-KEY-PASSWORD OPTIONS
 *       every entry that opens into a new store; one line an alias that was left out, and why.
 *       OPTIONS: default, or words of count=N prf=sha3 cipher=kwp mac=sha3 scrypt=N/R/P with commas
 *
 * KEY-PASSWORDS has commas between texts. An error is a line "error", class, message.
 */
public class StoreChecker {
    private static Provider provider;

    public static void main(String[] args) throws Exception {
        provider = (Provider) Class.forName(args[0]).getConstructor().newInstance();
        Security.addProvider(provider);
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        out.println(provider.getName() + "\t" + provider.getVersionStr() + "\n.");
        out.flush();
        for (String line; (line = in.readLine()) != null; ) {
            for (String[] row : answer(line.split("\t"))) {
                out.println(String.join("\t", row));
            }
            out.println(".");
            out.flush();
        }
    }

    private static List<String[]> answer(String[] request) {
        try {
            return request[0].equals("read") ? read(request) : copy(request);
        } catch (Throwable error) {
            return List.<String[]>of(new String[] {"error", error.getClass().getSimpleName(), encoded(String.valueOf(error.getMessage()))});
        }
    }

    private static List<String[]> read(String[] request) throws Exception {
        KeyStore store = load(request);
        List<String[]> rows = new ArrayList<>();
        for (String alias : Collections.list(store.aliases())) {
            rows.add(describe(store, alias, keyPasswords(request)));
        }
        return rows;
    }

    private static String[] describe(KeyStore store, String alias, List<char[]> passwords) throws Exception {
        Certificate[] chain = store.isCertificateEntry(alias)
            ? new Certificate[] {store.getCertificate(alias)} : store.getCertificateChain(alias);
        String kind = "certificate", algorithm = "-", encoding = "-", signs = "-";
        if (!store.isCertificateEntry(alias)) {
            try {
                Key key = open(store, alias, passwords);
                kind = key instanceof PrivateKey ? "private" : key instanceof PBEKey ? "pbe" : "secret";
                algorithm = key instanceof PBEKey pbe ? described(pbe) : key.getAlgorithm();
                encoding = Base64.getEncoder().encodeToString(key.getEncoded());
                signs = key instanceof PrivateKey && chain != null && chain.length > 0 ? signs((PrivateKey) key, chain[0]) : "-";
            } catch (Exception | Error error) {
                kind = "sealed";
                algorithm = encoded(error.getClass().getSimpleName() + ": " + error.getMessage());
            }
        }
        String created = String.valueOf(store.getCreationDate(alias).getTime());
        return new String[] {encoded(alias), kind, algorithm, encoding, digests(chain), created, signs};
    }

    private static String described(PBEKey key) {
        String salt = key.getSalt() == null ? "-" : HexFormat.of().formatHex(key.getSalt());
        return String.join(",", key.getAlgorithm(), encoded(new String(key.getPassword())), salt, String.valueOf(key.getIterationCount()));
    }

    private static Key open(KeyStore store, String alias, List<char[]> passwords) throws Exception {
        Exception last = null;
        for (char[] password : passwords) {
            try {
                return java.util.Objects.requireNonNull(store.getKey(alias, password), "no key");
            } catch (Exception error) {
                last = error;
            }
        }
        throw last;
    }

    private static List<String[]> copy(String[] request) throws Exception {
        KeyStore source = load(request);
        KeyStore target = KeyStore.getInstance(request[6], ofType(request[6]));
        boolean plain = request[9].equals("default");
        char[] password = text(request[7]), keyPassword = text(request[8]);
        if (plain) {
            target.load(null, password);
        } else {
            target.load(parameter(request[9], new BCFKSLoadStoreParameter.Builder((InputStream) null, password)));
        }
        List<String[]> left = new ArrayList<>();
        for (String alias : Collections.list(source.aliases())) {
            try {
                if (source.isCertificateEntry(alias)) {
                    target.setCertificateEntry(alias, source.getCertificate(alias));
                } else {
                    target.setKeyEntry(alias, open(source, alias, keyPasswords(request)), keyPassword, source.getCertificateChain(alias));
                }
            } catch (Exception | Error error) {
                left.add(new String[] {encoded(alias), encoded(error.getClass().getSimpleName() + ": " + error.getMessage())});
            }
        }
        var bytes = new ByteArrayOutputStream();
        if (plain) {
            target.store(bytes, password);
        } else {
            target.store(parameter(request[9], new BCFKSLoadStoreParameter.Builder(bytes, password)));
        }
        Files.write(Path.of(request[5]), bytes.toByteArray());
        return left;
    }

    private static BCFKSLoadStoreParameter parameter(String options, BCFKSLoadStoreParameter.Builder builder) {
        var pbkdf2 = new PBKDF2Config.Builder().withPRF(PBKDF2Config.PRF_SHA512).withSaltLength(64).withIterationCount(16384);
        String[] scrypt = null;
        for (String option : options.split(",")) {
            String value = option.substring(option.indexOf('=') + 1);
            switch (option.substring(0, option.indexOf('='))) {
                case "count" -> pbkdf2.withIterationCount(Integer.parseInt(value));
                case "prf" -> pbkdf2.withPRF(PBKDF2Config.PRF_SHA3_512);
                case "cipher" -> builder.withStoreEncryptionAlgorithm(BCFKSLoadStoreParameter.EncryptionAlgorithm.AES256_KWP);
                case "mac" -> builder.withStoreMacAlgorithm(BCFKSLoadStoreParameter.MacAlgorithm.HmacSHA3_512);
                case "scrypt" -> scrypt = value.split("/");
                default -> throw new IllegalArgumentException(option);
            }
        }
        if (scrypt == null) {
            return builder.withStorePBKDFConfig(pbkdf2.build()).build();
        }
        return builder.withStorePBKDFConfig(new ScryptConfig.Builder(
            Integer.parseInt(scrypt[0]), Integer.parseInt(scrypt[1]), Integer.parseInt(scrypt[2])).withSaltLength(64).build()).build();
    }

    private static KeyStore load(String[] request) throws Exception {
        KeyStore store = KeyStore.getInstance(request[2], ofType(request[2]));
        store.load(new ByteArrayInputStream(Files.readAllBytes(Path.of(request[1]))), text(request[3]));
        return store;
    }

    /** Java's own PKCS12, JKS and JCEKS; Bouncy Castle's BCFKS, BKS and UBER. */
    private static Provider ofType(String type) {
        return switch (type) {
            case "PKCS12" -> Security.getProvider("SUN");
            case "JKS" -> Security.getProvider("SUN");
            case "JCEKS" -> Security.getProvider("SunJCE");
            default -> provider;
        };
    }

    private static final Map<String, String> SIGNATURES = Map.of(
        "RSA", "SHA256withRSA", "EC", "SHA256withECDSA", "ECDSA", "SHA256withECDSA", "DSA", "SHA256withDSA",
        "Ed25519", "Ed25519", "Ed448", "Ed448");

    private static String signs(PrivateKey key, Certificate leaf) {
        try {
            String name = SIGNATURES.getOrDefault(key.getAlgorithm(), key.getAlgorithm());
            Signature signature = Signature.getInstance(name, provider);
            signature.initSign(key);
            signature.update(new byte[] {1, 2, 3});
            byte[] made = signature.sign();
            signature = Signature.getInstance(name, provider);
            signature.initVerify(leaf.getPublicKey());
            signature.update(new byte[] {1, 2, 3});
            return String.valueOf(signature.verify(made));
        } catch (Exception | Error error) {
            return error.getClass().getSimpleName() + ": " + error.getMessage();
        }
    }

    private static String digests(Certificate[] chain) throws Exception {
        List<String> found = new ArrayList<>();
        for (Certificate certificate : chain == null ? new Certificate[0] : chain) {
            found.add(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded())));
        }
        return found.isEmpty() ? "-" : String.join(",", found);
    }

    private static List<char[]> keyPasswords(String[] request) {
        List<char[]> found = new ArrayList<>();
        for (String field : request[4].split(",")) {
            found.add(text(field));
        }
        return found;
    }

    private static char[] text(String field) {
        return field.equals("-") ? null : chars(Base64.getDecoder().decode(field.equals("=") ? "" : field));
    }

    /** By hand: a Charset would replace a lone surrogate. */
    private static char[] chars(byte[] bytes) {
        char[] text = new char[bytes.length / 2];
        for (int i = 0; i < text.length; i++) {
            text[i] = (char) ((bytes[2 * i] & 0xff) << 8 | bytes[2 * i + 1] & 0xff);
        }
        return text;
    }

    private static String encoded(String text) {
        byte[] bytes = new byte[2 * text.length()];
        for (int i = 0; i < text.length(); i++) {
            bytes[2 * i] = (byte) (text.charAt(i) >> 8);
            bytes[2 * i + 1] = (byte) text.charAt(i);
        }
        return bytes.length == 0 ? "=" : Base64.getEncoder().encodeToString(bytes);
    }
}
