import type { DenialReason } from './decide.ts';

/** What a broker answers a CONNECT with. */
export interface ConnackCodes {
  /** MQTT 5 §3.2.2.2. */
  readonly v5: number;
  /** MQTT 3.1.1 §3.2.2.3. */
  readonly v3: number;
}

const NOT_AUTHORIZED: ConnackCodes = { v5: 0x87, v3: 5 };
const UNAVAILABLE: ConnackCodes = { v5: 0x88, v3: 3 };
const BAD_CLIENT_ID: ConnackCodes = { v5: 0x85, v3: 2 };

/** The code that tells a client why it was denied, and no more than it needs to know. */
export function connackCodes(reason: DenialReason): ConnackCodes {
  switch (reason) {
    case 'clientId':
      return BAD_CLIENT_ID;
    case 'statusUnknown':
      return UNAVAILABLE;
    case 'blocked':
      return { v5: 0x8a, v3: 5 };
    case 'throttled':
      return { v5: 0x9f, v3: 3 };
    default:
      return NOT_AUTHORIZED;
  }
}

/** Reason codes of a DISCONNECT (MQTT 5 §3.14.2.1). MQTT 3.1.1 knows no DISCONNECT of a server: the connection is closed. */
export const DISCONNECT = {
  notAuthorized: 0x87,
  administrativeAction: 0x98,
  maximumConnectTime: 0xa0,
  sessionTakenOver: 0x8e,
} as const;
