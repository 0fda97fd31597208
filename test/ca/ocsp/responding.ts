// A responder with signers whose keys lie in a folder, as they do in a home.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOcspResponder, type OcspResponder } from '../../../src/ca/ocsp/responder.ts';
import {
  type ResponderRenewal,
  renewResponderCertificates,
} from '../../../src/ca/ocsp/responder-certificate.ts';
import { type ResponderSigner, readResponderSigners } from '../../../src/ca/ocsp/responder-signer.ts';
import { DEFAULT_OCSP, type OcspConfig, parseOcspPolicy } from '../../../src/ca/ocsp/settings.ts';
import { newOcspTally, type OcspTally } from '../../../src/ca/ocsp/sign-answer.ts';
import { publishedUrls } from '../../../src/ca/published-urls.ts';
import { certIdIssuer } from '../../../src/x509/ocsp-cert-id.ts';
import { encodeCertId, encodeOcspRequest } from '../../../src/x509/ocsp-request.ts';
import { PUBLIC_URL, type TestHouse } from '../../house.ts';

export interface Responding extends Disposable {
  readonly respond: OcspResponder;
  readonly renewal: ResponderRenewal;
  readonly faults: unknown[];
  readonly tally: OcspTally;
  renew(): Promise<readonly string[]>;
  signerOf(authority: string): ResponderSigner | undefined;
  /** Another process on the same ledger. */
  another(): OcspResponder;
}

export async function openResponding(
  house: TestHouse,
  settings: Partial<OcspConfig> = {},
): Promise<Responding> {
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-test-'));
  const { authorities, ledger, random, clock, guardedClock } = house;
  const faults: unknown[] = [];
  const files = (name: string) => ({
    key: join(folder, `${name}.key`),
    certificate: join(folder, `${name}.pem`),
  });
  const home = { files, passphrase: 'sixteen letters!' };
  const urls = publishedUrls(PUBLIC_URL);
  const renewal = { ...home, authorities, ledger, urls, clock: guardedClock, random };
  const onFault = (error: unknown) => void faults.push(error);
  const signerOf = readResponderSigners(home, clock.now, onFault);
  const tally = newOcspTally();
  const policy = parseOcspPolicy({ ...DEFAULT_OCSP, ...settings });
  const another = () =>
    createOcspResponder({
      authorities,
      ledger: ledger.read,
      signerOf,
      policy,
      clock: clock.now,
      onFault,
      tally,
    });
  await renewResponderCertificates(renewal);
  return {
    respond: another(),
    renewal,
    faults,
    tally,
    renew: () => renewResponderCertificates(renewal),
    signerOf,
    another,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Question {
  readonly authority?: string;
  readonly digest?: 'sha1' | 'sha256';
  readonly parameters?: 'null' | 'absent';
  readonly nonce?: Uint8Array;
}

export function certIdFor(house: TestHouse, serial: Uint8Array, question: Question = {}): Buffer {
  const { authority = 'idevid', digest = 'sha1', parameters = 'null' } = question;
  const tbs = house.authorities.get(authority)?.certificate.tbs;
  if (!tbs) throw new Error(`there is no authority ${authority}`);
  return encodeCertId(certIdIssuer({ name: tbs.subject, spki: tbs.spki }, digest, parameters), serial);
}

export function question(house: TestHouse, serial: Uint8Array, asked: Question = {}): Buffer {
  return encodeOcspRequest(certIdFor(house, serial, asked), asked.nonce);
}
