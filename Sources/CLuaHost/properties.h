// The properties that come with a message of MQTT 5.0 (§3.3.2.3), as rules read and write them. For message.c and peer.c.
#ifndef SHUNT_PROPERTIES_H
#define SHUNT_PROPERTIES_H

#include "host.h"

/// Their identifiers on the wire (§2.2.2.2), of those that a rule may see.
enum {
    PROPERTY_PAYLOAD_FORMAT = 1, PROPERTY_EXPIRY = 2, PROPERTY_CONTENT_TYPE = 3, PROPERTY_RESPONSE_TOPIC = 8,
    PROPERTY_CORRELATION_DATA = 9, PROPERTY_USER = 38
};

/// The property that a field of `msg`, whose name is at this place on the stack, stands for; 0: no property.
uint8_t property_of_field(lua_State *L, int index);
/// Pushes a property of a message; nil where it has none like that.
void push_property(lua_State *L, const shunt_message *message, uint8_t id);
/// Pushes user properties as a list of pairs that gives the first value of a name, too.
/// - Parameter message: whose key stands for the first `key` among them; NULL where they are no message's.
void push_user_properties(lua_State *L, shunt_bytes encoded, const shunt_message *message);
/// Adds a pair to such a list, which is under the pair's name and value on the stack and begins as an empty table.
void add_pair(lua_State *L, lua_Integer place);

/// Pushes a message's properties, encoded, with what the table at 2, of `msg:with{}`, says of them. Raises what is wrong with it.
/// - Parameters:
///   - changes: what the table says: with another format comes another content type.
///   - message: the copy, which gets the properties, and the key among them where the table has no key: both are in the text that is pushed.
/// - Returns: SHUNT_KEY_CHANGED where it got a key.
uint16_t push_changed_properties(lua_State *L, const shunt_message *source, uint16_t changes, shunt_message *message);

#endif
