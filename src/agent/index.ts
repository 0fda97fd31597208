/**
 * The device's side: an identity that is obtained, kept and renewed, without an authority on the machine.
 *
 * `openAgent` puts one together from its settings, `step` does what is to be done and is safe to be killed, `runAgent` does so for
 * ever. `usableCredentials` says what to connect with, `brokerStream` gives MQTT.js a connection, through a proxy where there is one.
 */

export { type StepOptions, type StepResult, step, usableCredentials } from './agent.ts';
export { fetchRoot, type RootSource } from './est/fetch-root.ts';
export { type BrokerOptions, brokerStream, connectBroker } from './net/broker-stream.ts';
export { type ProxyServer, parseProxy } from './net/proxy.ts';
export { parseServerUrl } from './net/server-link.ts';
export { type OpenAgent, type OpenOptions, openAgent } from './open-agent.ts';
export type { AgentParts, Probe } from './parts.ts';
export type {
  AgentEvent,
  Authority,
  Credential,
  DeviceKey,
  EnrollAnswer,
  EnrollRequest,
  KeyStore,
  ProbeVerdict,
  RenewalInfo,
  Tell,
  TlsKey,
  Voucher,
} from './ports.ts';
export { type RunOptions, runAgent, type Sleep } from './run-agent.ts';
export { parseSettings, type Settings, SettingsSchema } from './settings.ts';
export { type Disk, disk } from './state/disk.ts';
export { lockState } from './state/lock-state.ts';
export type { Slot, StateFolder } from './state/state-folder.ts';
export type { Timekeeper } from './timekeeper.ts';
