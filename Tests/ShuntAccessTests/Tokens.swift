/// Tokens and keys: of RFC 7515 (appendix A) and RFC 8037 (appendix A), and some that PyJWT 2.15 has signed.
enum Tokens {
    // RFC 7515 §A.1 to §A.3, RFC 8037 §A.4.
    static let rfcHS256 =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19"
        + "yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    static let rfcRS256 =
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4h"
        + "iUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB"
        + "YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES"
        + "c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    static let rfcES256 =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEh"
        + "U3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    static let rfcEdDSA =
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5"
        + "BhVsPt9g7sVvpAr_MuM0KAg"
    static let rfcRSAModulus =
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
        + "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD"
        + "Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    static let rfcKeys = [
        #"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
        #"{"kty":"RSA","n":"\#(rfcRSAModulus)","e":"AQAB"}"#,
        #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    ]

    // Signed by PyJWT: sub ann, iss https://id.example.org, aud shunt and other, iat and nbf 1700000000, exp 1700003600, tags, alias, acl.
    static let hs256 =
        "eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjpb"
        + "InNodW50Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwidGFncyI6WyJ2aXAiXSwiYWxpYXMi"
        + "OlsiYTEiLCJhMiJdLCJhY2wiOnsicHVibGlzaCI6WyJ1cC8ldS8jIl0sInN1YnNjcmliZSI6WyJkb3duLyV1LysiXX19.nFqFWJlug52kw-1zVOOvt8HUrXF"
        + "mItweRPdpao4q4SA"
    static let rs256 =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjpb"
        + "InNodW50Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwidGFncyI6WyJ2aXAiXSwiYWxpYXMi"
        + "OlsiYTEiLCJhMiJdLCJhY2wiOnsicHVibGlzaCI6WyJ1cC8ldS8jIl0sInN1YnNjcmliZSI6WyJkb3duLyV1LysiXX19.tEF960J2QW4jQiGrTFhELc8pMkz"
        + "ilMfQjPE1_HyFKSzDzHlqz97YKIa2U7CbGflmTYedDnpu_XLasfZitFHf8fIzChjEkJKUtec5M0HVxcehgQW5f_gwai5lwcP830ibHT0aImekR-Fer4eiJb9"
        + "8zFQwoOuTmmSE-uZTfdcvZ-92_93Q0e1DwDWJjMxHZpcFmYovs5RkPryMDIh9J1fFbPYTkHE8PBE3J0vmyffA1HEYGpyZ9FxpvZsZ6n40rec9828Ntiqb139"
        + "3AJobBpLK2nCvXDOpKRGQVKJAWMKu-pJLNc92leGWGHU2pIv249heb6AARhB2zm-y9ibsDKB56Q"
    static let es256 =
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUxIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjpb"
        + "InNodW50Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwidGFncyI6WyJ2aXAiXSwiYWxpYXMi"
        + "OlsiYTEiLCJhMiJdLCJhY2wiOnsicHVibGlzaCI6WyJ1cC8ldS8jIl0sInN1YnNjcmliZSI6WyJkb3duLyV1LysiXX19.X_X5S0lXZbwp7N-jOmzETOCr1_3"
        + "LqDFq2bp0pFXs0oHm_ZfJNgUog_p3UlESrg1DRMcNCPAnXhiDEfIDAWIcvA"
    static let edDSA =
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImQxIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjpb"
        + "InNodW50Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwidGFncyI6WyJ2aXAiXSwiYWxpYXMi"
        + "OlsiYTEiLCJhMiJdLCJhY2wiOnsicHVibGlzaCI6WyJ1cC8ldS8jIl0sInN1YnNjcmliZSI6WyJkb3duLyV1LysiXX19.Yl46CuuGJtHAeSWSEEfW8cwgMm-"
        + "PovKJv4LJ4hp9y4gvtN4xzQRcaVJOt4fjxBn8aFHERFIyF2yLrZZFMylOAg"
    static let keySet =
        #"{"keys": [{"kty": "oct", "kid": "h1", "k": "YSBzZWNyZXQgdGhhdCBoYXMgZm9ydHkgYnl0ZXMsIGFsbCB0b2xkIQ"}, {"kty": "RSA", "ki"#
        + #"d": "r1", "use": "sig", "n": "w-b8pMk7jjJdC4W11M41PK3gvxj098nlCQ3xBd0aorvMQ4UraKcUPmJxGg5WkO0C2wencGq_40sOsi3hKeW8aA1GwZ"#
        + "O6NV2UZZGhZs2rZmGLYfEzH5R_bhK3V10UaQWrPJVMS3h_A1EG2EhxOMLAzysjx85Ssk94OfIMpOrOZaclWxvGfv_B_c67M4ebd2-ImursuDe9eqbxtdt21d"
        + "-qX6WGRq5BJfyeaMSCrFt-WElGQYFPQuvBAzekZCJyzrl2S15VsOLXjq7kw9q2tZMj3z0_Zq2cfMwZoJ6AsKoxWtqH3DAdVBU_OOZvdgteezvAevQaZG3aI3"
        + #"GqJd_V5KFY7Q", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "kid": "e1", "alg": "ES256", "x": "G7kqwYYNT9_hOxRS4H1qacz8rm"#
        + #"jxx2N5cBA-Z1zBgYI", "y": "UwZU016a8DAFD1WWuRa1bDYxdb_eRAp_CzEFrvkj4kI"}, {"kty": "OKP", "crv": "Ed25519", "kid": "d1", ""#
        + #"x": "RNkGtUKOp1WxYmRULJg5yEqM4bPB-v6ClsnAhZxDKUk"}, {"kty": "RSA", "kid": "enc", "use": "enc", "n": "w-b8pMk7jjJdC4W11M4"#
        + "1PK3gvxj098nlCQ3xBd0aorvMQ4UraKcUPmJxGg5WkO0C2wencGq_40sOsi3hKeW8aA1GwZO6NV2UZZGhZs2rZmGLYfEzH5R_bhK3V10UaQWrPJVMS3h_A1E"
        + "G2EhxOMLAzysjx85Ssk94OfIMpOrOZaclWxvGfv_B_c67M4ebd2-ImursuDe9eqbxtdt21d-qX6WGRq5BJfyeaMSCrFt-WElGQYFPQuvBAzekZCJyzrl2S15"
        + #"VsOLXjq7kw9q2tZMj3z0_Zq2cfMwZoJ6AsKoxWtqH3DAdVBU_OOZvdgteezvAevQaZG3aI3GqJd_V5KFY7Q", "e": "AQAB"}, {"kty": "EC", "crv":"#
        + #" "P-384", "kid": "p384", "x": "AA", "y": "AA"}]}"#
    /// The RSA key's PEM taken as a secret for HS256.
    static let confused =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiAiYW5uIiwgImlzcyI6ICJodHRwczovL2lkLmV4YW1wbGUub3JnIiwgImF1ZCI6IFsic2h1bnQ"
        + "iLCAib3RoZXIiXSwgImlhdCI6IDE3MDAwMDAwMDAsICJuYmYiOiAxNzAwMDAwMDAwLCAiZXhwIjogMTcwMDAwMzYwMCwgInRhZ3MiOiBbInZpcCJdLCAiYWx"
        + "pYXMiOiBbImExIiwgImEyIl0sICJhY2wiOiB7InB1Ymxpc2giOiBbInVwLyV1LyMiXSwgInN1YnNjcmliZSI6IFsiZG93bi8ldS8rIl19fQ.rQHmclnthLGv"
        + "4kafRKE7mKrtBOLjvuzQW6koGi7nsfI"
    /// The RSA key and the P-256 key.
    static let pem = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAw+b8pMk7jjJdC4W11M41
        PK3gvxj098nlCQ3xBd0aorvMQ4UraKcUPmJxGg5WkO0C2wencGq/40sOsi3hKeW8
        aA1GwZO6NV2UZZGhZs2rZmGLYfEzH5R/bhK3V10UaQWrPJVMS3h/A1EG2EhxOMLA
        zysjx85Ssk94OfIMpOrOZaclWxvGfv/B/c67M4ebd2+ImursuDe9eqbxtdt21d+q
        X6WGRq5BJfyeaMSCrFt+WElGQYFPQuvBAzekZCJyzrl2S15VsOLXjq7kw9q2tZMj
        3z0/Zq2cfMwZoJ6AsKoxWtqH3DAdVBU/OOZvdgteezvAevQaZG3aI3GqJd/V5KFY
        7QIDAQAB
        -----END PUBLIC KEY-----
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEG7kqwYYNT9/hOxRS4H1qacz8rmjx
        x2N5cBA+Z1zBgYJTBlTTXprwMAUPVZa5FrVsNjF1v95ECn8LMQWu+SPiQg==
        -----END PUBLIC KEY-----
        """
    /// Of the Ed25519 key.
    static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIHDMHegAwIBAgIBATAFBgMrZXAwDDEKMAgGA1UEAwwBazAeFw0yMDAxMDEwMDAw
        MDBaFw0yMTAxMDEwMDAwMDBaMAwxCjAIBgNVBAMMAWswKjAFBgMrZXADIQBE2Qa1
        Qo6nVbFiZFQsmDnISozhs8H6/oKWycCFnEMpSTAFBgMrZXADQQDEQjxWeleiYu2Z
        9OyKtFIrVLR3xBorFx9L2ueTh5hD4IrH+kwu0ePuK2MkKXkiuxE1VyvWFbrZMEys
        +c45dvgC
        -----END CERTIFICATE-----
        """
    /// RSA of 1024 bits.
    static let small = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCqDBaLgrT8cPIW0zPBz4tjM64n
        A12P+tUaKV1DmVS2M4mQXqDQE+U83hjoWjpRdZ5LsXIecQ0fcqc2it5j7blh5sHo
        YpCBcN0CIYieGxUcPOH6ka++SmUOuJvgSURq+q57NDKyNhX36xwdgIUuHI+iMQaH
        b6Z3ikXq5j2WHXPUIwIDAQAB
        -----END PUBLIC KEY-----
        """
    /// Not a key at all, but called a private one.
    static let privateKey = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
}
