/**
 * How findings name their sources. IEEE's and TCG's texts were not at hand: their clauses are those that RFC 8995,
 * the IoT profile's draft and open implementations cite.
 */
export const rfc5280 = (section: string): string => `RFC 5280 §${section}`;
export const x690 = (section: string): string => `X.690 §${section}`;
/** Without a clause: the matter is known, its number is not. */
export const ieee8021ar = (clause?: string): string =>
  clause === undefined ? 'IEEE 802.1AR-2018' : `IEEE 802.1AR-2018 §${clause}`;
/** "TLS/DTLS 1.3 Profiles for the Internet of Things", which waits to become an RFC. */
export const IOT_PROFILE = 'draft-ietf-uta-tls13-iot-profile-21';
export const TCG_DEVID = 'TCG TPM 2.0 Keys for Device Identity and Attestation v1.0 r12';
/** A rule of this project's own, where no standard speaks. */
export const HOUSE = 'Birthmark';
