// A listener of ours over real TLS with the EST door, what vouches for devices there, and a client that keeps its connection.
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { fromBER } from 'asn1js';
import { ContentInfo, SignedData } from 'pkijs';
import { afterAll } from 'vitest';
import type { EstSettings } from '../../../src/enroll/est/settings.ts';
import { DEFAULT_LABELS, type LabelConfig } from '../../../src/enroll/label-config.ts';
import { createTicket } from '../../../src/enroll/ticket.ts';
import { type TrustOrder, trustCa } from '../../../src/enroll/trust-ca.ts';
import { createRemoteApi } from '../../../src/server/api-app.ts';
import type { TrustedProxy } from '../../../src/server/peer.ts';
import { TLS_POLICY } from '../../../src/server/tls-policy.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { BEGINNING, DAY_MS, newKey, type TestHouse } from '../../house.ts';
import { makeAuthority, makeCertificate, type Party, type Traits } from '../../x509/path/make-certificate.ts';
import type { SampleKey } from '../../x509/samples.ts';
import { newIdentity } from '../peer-server.ts';
import { startTestServer, type TestServer, type TestServerOptions } from '../test-server.ts';

/** What a device shows in its handshake. */
export interface Credential {
  readonly key: SampleKey;
  /** DER: its certificate first. */
  readonly chain: readonly Uint8Array[];
}

export interface EstAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface EstConnection {
  readonly socket: TLSSocket;
  /** Asks an operation, by its path below `/.well-known/est/`, or any address with a leading slash. */
  ask(operation: string, sent?: Sent): Promise<EstAnswer>;
  /** Sends a CSR, DER, as EST has it. */
  enroll(operation: string, csr: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<EstAnswer>;
}

export interface EstServer {
  readonly server: TestServer;
  readonly house: TestHouse;
  readonly port: number;
  open(credential?: Credential, options?: ConnectionOptions): Promise<EstConnection>;
  /** One CSR over a connection of its own. */
  enroll(
    operation: string,
    csr: Uint8Array,
    from?: { readonly credential?: Credential; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<EstAnswer>;
  /** The header of a ticket for a device; the user is the device unless another one is given. */
  ticket(
    serialNumber: string,
    more?: { readonly user?: string; readonly profile?: string; readonly expiresInMs?: number },
  ): Promise<Readonly<Record<string, string>>>;
  /** The IDevID or LDevID that an operator gave a device. */
  credential(serialNumber: string, profile?: string): Promise<Credential>;
  trust(ca: Party, order?: Partial<TrustOrder>): Promise<Uint8Array>;
  /** `OUTCOME` of the latest act on a device, with its facts. */
  latestAct(
    device: string,
  ): Promise<{ readonly outcome: string; readonly facts: Readonly<Record<string, unknown>> }>;
}

export interface EstServerOptions extends Omit<TestServerOptions, 'labels'> {
  readonly est?: Partial<EstSettings>;
  readonly proxies?: readonly TrustedProxy[];
  /** What differs from the default label, by label. */
  readonly labels?: Readonly<Record<string, Partial<LabelConfig>>>;
}

const DEFAULT = DEFAULT_LABELS.default;

/** A server for a whole file. */
export async function shareEstServer(options: EstServerOptions = {}): Promise<EstServer> {
  const { est, proxies = [], labels = {}, ...rest } = options;
  if (!DEFAULT) throw new Error('there is a default label');
  const server = await startTestServer({
    ...rest,
    labels: Object.fromEntries(
      Object.entries({ default: {}, ...labels }).map(([name, label]) => [name, { ...DEFAULT, ...label }]),
    ),
  });
  const { keyPem, pem } = newIdentity('server');
  const app = await createRemoteApi({
    ...server.options,
    est: { ...server.options.est, ...est },
    proxies,
    tls: { ...TLS_POLICY, key: keyPem, cert: pem },
  });
  const listening: Promise<string> = app.listen({ host: '127.0.0.1', port: 0 });
  await listening;
  const { port } = app.server.address() as AddressInfo;
  afterAll(async () => {
    await app.close();
    await server[Symbol.asyncDispose]();
  });
  return createEstServer(server, port);
}

function createEstServer(server: TestServer, port: number): EstServer {
  const { house } = server;
  const est: EstServer = {
    server,
    house,
    port,
    open: async (credential, options = {}) => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        ...(credential && tlsOf(credential)),
        ...options,
      });
      await once(socket, 'secureConnect');
      return over(socket);
    },
    enroll: async (operation, csr, { credential, headers } = {}) => {
      const connection = await est.open(credential);
      const answer = await connection.enroll(operation, csr, headers);
      connection.socket.destroy();
      return answer;
    },
    ticket: async (serialNumber, { user = serialNumber, profile = 'ldevid', expiresInMs = DAY_MS } = {}) => {
      const order = { serialNumber, profile, expiresInMs };
      const { ticket } = await createTicket(order, { actor: 'operator:test', role: 'admin' }, server.options);
      return basic(user, ticket);
    },
    credential: async (serialNumber, profile = 'idevid') => {
      const key = newKey();
      const { certificate, chain } = await house.grant(serialNumber, { key, profile });
      return { key, chain: [certificate, ...chain] };
    },
    trust: async (ca, order = {}) => {
      const room = { ledger: house.ledger, authorities: house.authorities, clock: house.guardedClock };
      const certificate = toPem('CERTIFICATE', ca.der);
      const [trusted] = await trustCa({ certificate, namespace: 'maker', ...order }, 'operator:test', room);
      if (!trusted) throw new Error('it was trusted');
      return trusted.fingerprint;
    },
    latestAct: async (device) => {
      const all = await house.ledger.read.listAudit({ limit: 1000 });
      const act = all.items.findLast(({ subject }) => subject === `device:${device}`);
      return { outcome: act?.outcome ?? 'none', facts: act?.facts ?? {} };
    },
  };
  return est;
}

/** The header of HTTP Basic. */
export function basic(user: string, password: string): Readonly<Record<string, string>> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

function tlsOf({ key, chain }: Credential): ConnectionOptions {
  return {
    key: String(key.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    cert: chain.map((der) => toPem('CERTIFICATE', der)).join(''),
  };
}

function over(socket: TLSSocket): EstConnection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = () => socket;
  const ask: EstConnection['ask'] = async (operation, { method = 'GET', body, headers = {} } = {}) => {
    const path = operation.startsWith('/') ? operation : `/.well-known/est/${operation}`;
    const sent = sendRequest({ agent, method, path, headers: { host: 'localhost', ...headers } });
    sent.end(body);
    return readAnswer(await answered(sent));
  };
  return {
    socket,
    ask,
    enroll: (operation, csr, headers = {}) =>
      ask(operation, {
        method: 'POST',
        body: toBase64(csr),
        headers: { 'content-type': 'application/pkcs10', ...headers },
      }),
  };
}

async function answered(sent: ReturnType<typeof sendRequest>): Promise<IncomingMessage> {
  const [response]: IncomingMessage[] = await once(sent, 'response');
  if (!response) throw new Error('there is no response');
  return response;
}

async function readAnswer(response: IncomingMessage): Promise<EstAnswer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  const { statusCode = 0, headers } = response;
  return { status: statusCode, headers, text: Buffer.concat(parts).toString('latin1') };
}

export function toBase64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}

/**
 * `STATUS CODE` of a refusal, which must be as EST has it: text, and a challenge where it is a 401; `200` of what is granted.
 */
export function verdictOf({ status, headers, text }: EstAnswer): string {
  if (status === 200) return '200';
  if (headers['content-type'] !== 'text/plain; charset=utf-8')
    throw new Error(`${status} is no text: ${headers['content-type']} ${text.slice(0, 200)}`);
  if ((status === 401) !== 'www-authenticate' in headers) throw new Error(`${status} and its challenge`);
  return `${status} ${status === 202 ? 'waiting' : text.slice(0, text.indexOf(':'))}`;
}

/** DER of the certificates in an answer, as another library reads them. */
export function certificatesIn({ status, headers, text }: EstAnswer): readonly Buffer[] {
  if (status !== 200 || headers['content-type'] !== 'application/pkcs7-mime; smime-type=certs-only')
    throw new Error(`${status} ${headers['content-type']}: ${text.slice(0, 200)}`);
  return certificatesOf(text);
}

export function certificatesOf(base64: string): readonly Buffer[] {
  const content = new ContentInfo({ schema: fromBER(Buffer.from(base64, 'base64')).result });
  const { certificates = [], signerInfos } = new SignedData({ schema: content.content });
  if (signerInfos.length > 0) throw new Error('it is signed');
  return certificates.map((one) => Buffer.from(one.toSchema().toBER()));
}

/** The one certificate of an answer. */
export function certificateIn(answer: EstAnswer): Buffer {
  const [certificate, ...more] = certificatesIn(answer);
  if (!certificate || more.length > 0) throw new Error(`${more.length + 1} certificates`);
  return certificate;
}

const VALID = { notBefore: BEGINNING - DAY_MS, notAfter: BEGINNING + 365 * DAY_MS };

/** A manufacturer's CA, valid while the tests run. */
export function makerCa(traits: Traits = {}): Party {
  return makeAuthority({ cn: 'Maker CA', ...traits, fields: { ...VALID, ...traits.fields } });
}

/** The IDevID of a manufacturer's device. */
export function madeBy(ca: Party, serialNumber: string, traits: Traits = {}): Credential {
  const subject = encodeName([
    { type: 'O', value: 'Maker' },
    { type: 'serialNumber', value: serialNumber },
  ]);
  const { key, der } = makeCertificate({
    issuer: ca,
    ...traits,
    fields: { subject, ...VALID, ...traits.fields },
  });
  return { key, chain: [der] };
}
