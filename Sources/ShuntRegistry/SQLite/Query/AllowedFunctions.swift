/// SQL functions that an operator's query may call. Others read or change what is not the query's, or can take unbounded time,
/// memory or stack in one call, as those do that change JSON.
enum AllowedFunctions {
    static let all = Set(
        """
        -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling changes char coalesce cos cosh count cume_dist \
        current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor format glob \
        group_concat hex ifnull iif instr json json_array json_array_length json_extract json_group_array json_group_object \
        json_object json_quote json_type json_valid julianday lag last_insert_rowid last_value lead length like likelihood likely \
        ln log log10 log2 lower ltrim max min mod nth_value ntile nullif octet_length percent_rank pi pow power printf quote \
        radians random randomblob rank replace round row_number rtrim sign sin sinh soundex sqlite_compileoption_get \
        sqlite_compileoption_used sqlite_source_id sqlite_version sqrt strftime string_agg substr substring subtype sum tan tanh \
        time timediff total total_changes trim trunc typeof unhex unicode unixepoch unlikely upper zeroblob
        """.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init))
}
