// A house in this process, with the doors' own routes over `inject`: no TLS, no sockets.

import { loadConfig } from '../src/cli/config/load-config.ts';
import { homeAt } from '../src/cli/home.ts';
import { initHome } from '../src/cli/init-home.ts';
import { apiOptions } from '../src/cli/serve/house-options.ts';
import { repeat } from '../src/cli/serve/repeat.ts';
import { prepareToServe } from '../src/cli/serve/upkeep.ts';
import { type House, openHouse } from '../src/cli/wire.ts';
import { mountEnrollmentDoor } from '../src/enroll/api/routes.ts';
import { mountFactoryDoor } from '../src/enroll/factory/routes.ts';
import type { Peer } from '../src/enroll/peer.ts';
import type { TokenRecord } from '../src/enroll/ports.ts';
import { advanceCampaigns, BEAT_MS, campaignBeat } from '../src/fleet/campaign/engine.ts';
import { createBaseApp } from '../src/server/base-app.ts';
import { bearerOf } from '../src/server/caller.ts';
import { mountCampaigns } from '../src/server/routes/campaigns.ts';
import { mountRevocations } from '../src/server/routes/revocations.ts';
import { mountSightings } from '../src/server/routes/sightings.ts';

export interface InjectedHouse {
  readonly house: House;
  /** Sends a request; gives the answer's body. Throws where it was refused. */
  send(method: 'GET' | 'POST', url: string, asked?: Asked): Promise<string>;
  /** One turn of the engine. */
  advance(): Promise<boolean>;
  /** Lets the engine run as upkeep does; gives what ends it. */
  carry(): () => Promise<void>;
  close(): Promise<void>;
}

export interface Asked {
  readonly body?: object | string;
  readonly role?: 'factory' | 'gate' | 'admin';
  /** DER of the certificate that the device shows. */
  readonly leaf?: Uint8Array;
}

/** With which the bench's gate tells what it saw. */
const GATE_TOKEN: TokenRecord = {
  id: '0'.repeat(16),
  name: 'bench',
  role: 'gate',
  secretHash: new Uint8Array(32),
  createdAt: 0,
  createdBy: 'bench',
  expiresAt: Number.MAX_SAFE_INTEGER,
  listeners: ['bench'],
  used: 0,
};

/** Who asks is what the request says: signing in is measured elsewhere. */
export async function openInjected(path: string): Promise<InjectedHouse> {
  const home = homeAt(path);
  await initHome(
    home,
    {
      publicUrl: 'http://pki.bench.example',
      tlsNames: ['localhost'],
      organization: 'Bench',
      algorithm: 'ec-p256',
    },
    process.env,
  );
  const house = await openHouse(home, loadConfig(home.config), process.env);
  await prepareToServe(house);
  const options = apiOptions(house);
  const app = createBaseApp({ logger: house.logger, limits: options.limits });
  const authenticate = async (request: { readonly headers: Readonly<Record<string, unknown>> }) => {
    const role = request.headers['x-role'] === 'gate' ? ('gate' as const) : ('admin' as const);
    return { actor: `bench:${role}`, role, local: false, ...(role === 'gate' && { token: GATE_TOKEN }) };
  };
  const routes = {
    ...options,
    authorities: house.authorities,
    authenticate,
    bearerOf,
    limitFailures: <T>(_request: unknown, check: () => Promise<T>) => check(),
    peerOf: (request: { readonly headers: Readonly<Record<string, unknown>> }): Peer => {
      const leaf = request.headers['x-leaf'];
      if (typeof leaf !== 'string') return {};
      return { certificate: { leaf: Buffer.from(leaf, 'base64'), chain: [], via: 'tls' } };
    },
  };
  app.register((scope, _, done) => {
    mountFactoryDoor(scope, routes);
    done();
  });
  mountEnrollmentDoor(app, routes);
  mountCampaigns(app, routes);
  mountRevocations(app, routes);
  mountSightings(app, {
    ...routes,
    idevidProfiles: house.issuing.idevidProfiles,
    clock: house.wallClock,
  });
  await app.ready();
  return {
    house,
    async send(method, url, { body, role = 'admin', leaf } = {}) {
      const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
      const injected: Promise<{ statusCode: number; body: string }> = app.inject({
        method,
        url,
        headers: {
          'x-role': role,
          ...(body !== undefined && { 'content-type': type }),
          ...(leaf && { 'x-leaf': Buffer.from(leaf).toString('base64') }),
        },
        ...(body !== undefined && { payload: body }),
      });
      const answer = await injected;
      if (answer.statusCode >= 300) throw new Error(`${method} ${url}: ${answer.statusCode} ${answer.body}`);
      return answer.body;
    },
    advance: () => advanceCampaigns(house.campaigns.room),
    carry: () =>
      repeat(campaignBeat(house.campaigns.room), BEAT_MS, (error) => {
        throw error;
      }),
    async close() {
      await app.close();
      house.close();
    },
  };
}
