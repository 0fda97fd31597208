/** Names of the broker's listeners in its policy. */
export const MQTT_LISTENER = 'mqtt';
export const WEB_SOCKET_LISTENER = 'mqtt-ws';
