// A device of ours at a real listener of ours: TLS, EST, ledger and keys are real; time and chance are the test's.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import {
  type AgentEvent,
  type AgentParts,
  type Disk,
  disk,
  openAgent,
  type ProbeVerdict,
  type Settings,
} from '../../src/agent/index.ts';
import type { ProfileConfig } from '../../src/ca/profile-config.ts';
import { DEFAULT_LABELS, type LabelConfig } from '../../src/enroll/label-config.ts';
import type { ServiceCertificate } from '../../src/enroll/service-issuer.ts';
import { createTicket } from '../../src/enroll/ticket.ts';
import { createRemoteApi } from '../../src/server/api-app.ts';
import { TLS_POLICY } from '../../src/server/tls-policy.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { toPem } from '../../src/x509/pem.ts';
import { DAY_MS, newCsr, newKey, type TestHouse } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { type App, startTestServer, type TestServer } from '../server/test-server.ts';
import type { SampleKey } from '../x509/samples.ts';

export interface DeviceOptions {
  readonly folder?: string;
  readonly settings?: Partial<Settings>;
  readonly disk?: Disk;
  readonly clock?: () => number;
  /** Wraps parts of it, to make one call fail. */
  readonly wrap?: (parts: AgentParts) => Partial<AgentParts>;
}

export interface Device {
  readonly parts: AgentParts;
  readonly folder: string;
  readonly events: readonly AgentEvent[];
  /** Serial of the current credential, hexadecimal; empty where there is none. */
  serial(): string;
}

export interface AgentLab {
  readonly server: TestServer;
  readonly house: TestHouse;
  readonly url: string;
  /** DER. */
  readonly root: Uint8Array;
  /** A certificate of another server of that name. */
  serverCertificate(key: SampleKey): Promise<ServiceCertificate>;
  /** The same server once more, with a certificate that is issued now; its URL. */
  listen(shown?: (chain: readonly Uint8Array[]) => readonly Uint8Array[]): Promise<string>;
  device(options?: DeviceOptions): Promise<Device>;
  /** Files with a ticket. */
  ticket(serialNumber: string): Promise<Pick<Settings, 'serialNumber' | 'ticketFile'>>;
  /** Files with an IDevID. */
  idevid(serialNumber: string): Promise<Pick<Settings, 'idevid'>>;
  /** Lets a client on the device use what `current` names, as it lies on the disk at this moment. */
  use(device: Device): Promise<ProbeVerdict>;
  /** Whether two were found to hold the device's identity. */
  isTwo(serialNumber: string): Promise<boolean>;
  /** How many certificates of profile ldevid a device has. */
  issued(serialNumber: string): Promise<number>;
}

const DEFAULT = DEFAULT_LABELS.default;

/** A server for a whole file. */
export async function shareAgentLab(
  label: Partial<LabelConfig> = {},
  ldevid: Partial<ProfileConfig> = {},
): Promise<AgentLab> {
  if (!DEFAULT) throw new Error('there is a default label');
  const server = await startTestServer({
    profiles: { server: { validityDays: 3650 }, ldevid },
    labels: { default: { ...DEFAULT, ...label } },
  });
  const { house } = server;
  const serverCertificate = (own: SampleKey) =>
    house.issueService(
      {
        profile: house.issuing.profile('server'),
        csr: newCsr(own),
        name: 'localhost',
        dns: ['localhost'],
        ip: [],
      },
      'operator:test',
    );
  const apps: App[] = [];
  const listen: AgentLab['listen'] = async (shown = (chain) => chain) => {
    const key = newKey();
    const { certificate, chain } = await serverCertificate(key);
    const app = await createRemoteApi({
      ...server.options,
      tls: { ...TLS_POLICY, key: keyPem(key), cert: pemOf(shown([certificate, ...chain])) },
    });
    app.addHook('onSend', (_request, reply, _payload, done) => {
      reply.header('date', new Date(house.clock.now()).toUTCString());
      done();
    });
    apps.push(app);
    const listening: Promise<string> = app.listen({ host: 'localhost', port: 0 });
    await listening;
    const { port } = app.server.address() as AddressInfo;
    return `https://localhost:${port}`;
  };
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await server[Symbol.asyncDispose]();
  });
  const url = await listen();
  const authority = house.authorities.get('ldevid');
  if (!authority) throw new Error('there is an authority');
  const { root } = authority;
  return {
    server,
    house,
    url,
    root,
    serverCertificate,
    listen,
    device: async ({ folder = join(temporaryFolder(), 'agent'), settings = {}, wrap, ...rest } = {}) => {
      mkdirSync(folder, { recursive: true });
      const trust = join(folder, 'trust.pem');
      if (!existsSync(trust)) writeFileSync(trust, pemOf([root]));
      const events: AgentEvent[] = [];
      const parts = await openAgent({
        folder,
        settings: { url, ...settings },
        disk,
        clock: house.clock.now,
        elapsed: house.clock.now,
        random: (size) => randomBytes(size),
        tell: (event) => void events.push(event),
        environment: { PATH: process.env.PATH },
        ...rest,
      });
      return {
        parts: { ...parts, ...wrap?.(parts) },
        folder,
        events,
        serial: () => {
          const leaf = parts.state.current()?.chain()?.[0];
          return leaf ? Buffer.from(readCertificate(leaf).tbs.serial).toString('hex') : '';
        },
      };
    },
    ticket: async (serialNumber) => {
      const order = { serialNumber, profile: 'ldevid', expiresInMs: 3650 * DAY_MS };
      const { ticket } = await createTicket(order, { actor: 'operator:test', role: 'admin' }, server.options);
      return { serialNumber, ticketFile: secret('ticket', `${ticket}\n`) };
    },
    idevid: async (serialNumber) => {
      const own = newKey();
      const { certificate, chain } = await house.grant(serialNumber, { key: own, profile: 'idevid' });
      const certificateFile = secret('idevid.pem', pemOf([certificate, ...chain]));
      return { idevid: { certificateFile, keyFile: secret('idevid.key', keyPem(own)) } };
    },
    use: ({ parts: { state, keys }, parts }) => {
      const current = state.current();
      const chain = current?.chain();
      if (!current || !chain) throw new Error('there is no credential to use');
      return parts.authority.confirm({ key: keys.open(current.name, current.folder), chain });
    },
    isTwo: async (serialNumber) => {
      const { items } = await house.ledger.read.listIncidents({ limit: 1000 });
      return items.some(
        ({ kind, subject }) => kind === 'two-holders' && subject.endsWith(`/${serialNumber}`),
      );
    },
    issued: async (serialNumber) => {
      const search = { limit: 1000, profile: 'ldevid', query: serialNumber };
      return (await house.ledger.read.searchCertificates(search)).items.length;
    },
  };
}

export function keyPem({ privateKey }: SampleKey): string {
  return String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

export function pemOf(ders: readonly Uint8Array[]): string {
  return ders.map((der) => toPem('CERTIFICATE', der)).join('');
}

/** A file that only its owner may read, gone when the test ends. */
export function secret(name: string, content: string): string {
  const file = join(temporaryFolder(), name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}
