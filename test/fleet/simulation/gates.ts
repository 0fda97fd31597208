// The gates of a house in virtual time: the gate's own decider over the status feed, and what gates tell of whom they let in.
import { createDecider } from '../../../src/broker-auth/decide.ts';
import { createCredentialJudge } from '../../../src/broker-auth/judge-credential.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import { readFeedEvents } from '../../../src/broker-auth/status/feed-events.ts';
import { knownIntermediates } from '../../../src/broker-auth/status/known-intermediates.ts';
import type { ReadSnapshot } from '../../../src/broker-auth/status/read-snapshot.ts';
import { StatusTable } from '../../../src/broker-auth/status/status-table.ts';
import { tableSource } from '../../../src/broker-auth/status/table-source.ts';
import { certificatesBelowRoots, madeOf } from '../../../src/ca/authority.ts';
import { toBase64, toHex } from '../../../src/core/bytes.ts';
import { OWN_NAMESPACE } from '../../../src/core/identifiers.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { noteSightings, type Sightings } from '../../../src/fleet/note-sightings.ts';
import { createChangePages } from '../../../src/server/status/change-pages.ts';
import { hashKey } from '../../../src/x509/public-key.ts';
import type { TestHouse } from '../../house.ts';
import { createAgenda } from './agenda.ts';
import type { Chance } from './chance.ts';
import type { Credential } from './credential.ts';

const HALF_HOUR_MS = 1_800_000;
/** As a gate's reporter sends them. */
const TOLD_AT_ONCE = 500;
const REMEMBERED = 50_000;

interface Told {
  readonly seen: Sightings['seen'][number];
  /** Denied, since it was taken back. */
  readonly isRefused: boolean;
}

export interface Gates {
  /** `ok`, or why it is denied. A mute gate tells nobody. */
  connect(by: Credential, name: string, isMute: boolean): string;
  /** What was recorded is at the gates from now on. */
  sync(): Promise<void>;
  /** Tells what has arrived by now; gives how much that was. */
  tell(): Promise<number>;
}

export async function openGates(house: TestHouse, chance: Chance): Promise<Gates> {
  const { ledger, clock, authorities, uses, issuing } = house;
  const steady = createSteadyClock(clock.now, clock.now);
  const epoch = await ledger.read.statusEpoch();
  const table = new StatusTable({ epoch, sequence: 0 }, steady.now());
  const pages = createChangePages({ ledger: ledger.read, authorities, clock: clock.now });
  // A gate that hears of another authority fetches a snapshot, whose header has its certificate.
  const known = madeOf(authorities, (): ReadSnapshot => ({ header: headerOf(house, epoch), table }));
  const anchors = [...authorities.values()].filter(({ isRoot }) => isRoot);
  const trust = [
    {
      namespace: OWN_NAMESPACE,
      anchors: anchors.map(({ certificate }) => certificate.raw),
      intermediates: [],
    },
  ];
  const decide = createDecider({
    policy: parsePolicy(
      {
        listeners: { mqtt: { preset: 'private-network' } },
        roles: [{ name: 'device', publish: ['devices/#'] }],
      },
      trust,
    ),
    judge: createCredentialJudge({
      trust,
      intermediates: knownIntermediates(known),
      sources: [tableSource(known, steady)],
      remembered: REMEMBERED,
    }),
    hasOtherSession: () => false,
    random: (size) => new Uint8Array(size),
  });
  const telling = createAgenda<Told>();

  return {
    connect(by, name, isMute) {
      const evidence = { level: 'certificate', leaf: by.certificate, chain: [] } as const;
      const verdict = decide({ listener: 'mqtt', clientId: name, evidence }, clock.now());
      const isRefused = !verdict.allow && verdict.reason === 'revoked';
      if (verdict.credential && !isMute && (verdict.allow || isRefused)) {
        const { issuerKeyId, serial } = verdict.credential;
        const seen = { issuerKeyId, serial, at: clock.now(), listener: 'mqtt' };
        telling.add(clock.now() + chance.between(1000, HALF_HOUR_MS), { seen, isRefused });
      }
      return verdict.allow ? 'ok' : verdict.reason;
    },
    async sync() {
      const last = await ledger.read.lastStatusChange();
      while (table.position.sequence < last) {
        const { text } = await pages(table.position.sequence, epoch, last);
        for await (const event of readFeedEvents(once(Buffer.from(text))))
          if (event?.kind === 'change') table.apply(event.change);
      }
      table.confirm({ epoch, sequence: last }, steady.now());
    },
    async tell() {
      const arrived = telling.takeUntil(clock.now());
      if (arrived.length === 0) return 0;
      const options = { ledger, authorities, uses, idevidProfiles: issuing.idevidProfiles, clock: clock.now };
      for (let at = 0; at < arrived.length; at += TOLD_AT_ONCE) {
        const some = Map.groupBy(arrived.slice(at, at + TOLD_AT_ONCE), ({ isRefused }) => isRefused);
        const [seen = [], refused = []] = [false, true].map((of) =>
          (some.get(of) ?? []).map((one) => one.seen),
        );
        await noteSightings(options, { seen, refused, enforced: [] }, 'token:gate');
      }
      return arrived.length;
    },
  };
}

function headerOf({ authorities, clock }: TestHouse, epoch: string): ReadSnapshot['header'] {
  const now = new Date(clock.now()).toISOString();
  return {
    format: 'birthmark-status-snapshot',
    version: 1,
    epoch,
    sequence: 0,
    issuedAt: now,
    validUntil: now,
    endedBefore: new Date(0).toISOString(),
    authorities: [...authorities.values()].map(({ name, keyId, certificate }) => ({
      name,
      issuerKeyId: toHex(keyId),
      keyHash: toHex(hashKey(certificate.tbs.spki)),
    })),
    intermediates: certificatesBelowRoots(authorities).map(toBase64),
  };
}

async function* once(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield octets;
}
