/// What the fuzzer starts from: message-channel's own frames and odd inputs (exchange protocol §19), its objects, its packings.
enum Corpus {
    static let frames = [
        "710000000000000001000000c800000000",
        "7101020304050607080d0000c800000000",
        "7100000000000000030d0001f40000001501000000106e6f7420666f756e6420736572766572",
        "7100000000000000040d00013300000013010000000e3132372e302e302e313a34303931",
        "710000000000000005060000c800000009010000000474727565",
        "7100000000000000050d0000c800000022010000001d3132372e302e302e313a343039312c3132372e302e302e313a34303932",
        "710000000000000007040000c800000021020000001c7b2267726f7570223a226d79222c22746f706963223a22646478227d",
        "710000000000000009030000c80000001c010000000776616c75655f3100000003646478000000056b65795f31",
        "71000000000000000a030000c80000000d01000000017600000003646478",
        "71000000000000000e030000c80000001c020000000b7b2276223a22e4bda0227d00000003646478000000016b",
        "710000000000000010030200c8000000350100000024"
            + "04224d186470b91100008068656c6c6f2068656c6c6f2068656c6c6f00000000b1cd9b8700000003646478000000016b",
        "710000000000000012020000c80000003202000000167b686f73743a6e756c6c2c20706f72743a343039317d"
            + "0000000931333134313536373800000006435245415445",
        "710000000000000001030000c80000000f01000000017600000000000000016b",
        "710000000000000001030000c80000000f010000000176000000016e00000000",
        "710000000000000001030000c8000000050100000000",
        "710000000000000001030000c800000012010000000176000000016e000000016bffff",
        "7100000000000000010300025800000000",
        "710000000000000001030001f4000000070100000002610a",
        "710000000000000001030001f40000000b020000000161000000016e",
        "710000000000000001030000c80000000b010000000176000000096e",
        "710000000000000001030000c807cfffef",
        "700000000000000001030000c800000005",
        "710000000000000001030000c80000000b01000000017600000001ff",
    ].map(bytes(hex:))

    static let objects = [
        #"{"group":"my","key":"k","topic":"ddx"}"#,
        "{Group:'my',,/* c */TOPIC:5,}// end",
        #"{"alias":[],"created_time":1548000000000,"device":"d1","tags":["driver"],"uid":"u1","#
            + #""workerAddress":"null:0","worker_port":0}"#,
        #"{"allEmpty":false,"device":"d","filter_alias":["d"],"filter_tags":["c"],"match_tags":["a"],"message":"m","uid":"u"}"#,
        "{host:null, port:4091}",
        #"{host:'a\'\u4f60\ud83d\ude00\x41b', port:'4092'}"#,
        "{machine_id:'02:fc',server_name:'',server_port:4091,connection_count:1,max_connection_count:-1,"
            + "request_total_count:1.5e3,created_time:1795419214273}",
        "{server_port:1,created_time:2,env:{os_name:'Linux',java_version:17},connection_list:[{host:'h',port:1}],"
            + "shunt:{version:'0.1.0',boot:'b',listeners:{exchange:'127.0.0.1:4091','mqtt-tls':'x'},loops:2,"
            + "subscriptions:3,deliveries:4,state:'draining'}}",
        // As deep as is taken.
        "{a:" + String(repeating: "[", count: 31) + String(repeating: "]", count: 31) + "}",
    ].map { Array($0.utf8) }

    static let packed = [
        "1f8b08000000000000ffcb48cdc9c957c84090008088f9e511000000",
        "1f8b08160000000000030400616263646e6f7465007587011100eeff68656c6c6f2068656c6c6f2068656c6c6f8088f9e511000000",
        "04224d186470b91100008068656c6c6f2068656c6c6f2068656c6c6f00000000b1cd9b87",
        "04224d187c404400000000000000a6190000006768656c6c6f200600070b000217000f11000a5068656c6c6f295b43a30000000017cd76a0",
        "04224d18604082100000006f68656c6c6f200600d250656c6c6f2000000000",
        "ff060000734e61507059000e0000ab04b51d111468656c6c6f201d06",
        "ff060000734e6150705901150000ab04b51d68656c6c6f2068656c6c6f2068656c6c6f",
        "ff060000734e6150705900050000d8ea82a200001900009c516ba4f0011468656c6c6f20fe0600fe0600fe0600a60600",
    ].map(bytes(hex:))

    /// What objects are made of, to be put in at random places.
    static let tokens = [
        "{", "}", "[", "]", ",", ":", "'", "\"", "\\", "null", "true", "/*", "*/", "//", "\n", "\\u", "\\ud83d", "\\x", "-",
        "1e9", "9223372036854775807", "0", ".", "'port':", "group:'g',", "topic:'t',", "uid:1,", "device:[],", "shunt:{", "env:{",
        "[[[[[[[[",
    ].map { Array($0.utf8) }

    private static func bytes(hex: String) -> [UInt8] {
        let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
