/** The gate in Aedes: `createAedesDoor` for an Aedes of your own, `openAedesBroker` for one that is made here. */
export { type AedesBroker, openAedesBroker } from './aedes-broker.ts';
export { type AedesDoor, type AedesDoorOptions, createAedesDoor } from './aedes-door.ts';
export { acceptWebSockets, type WebSocketOptions } from './web-socket.ts';
