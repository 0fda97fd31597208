import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type AgentParts, type ProbeVerdict, step, usableCredentials } from '../../src/agent/index.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { type Device, shareAgentLab } from './lab.ts';

// From a credential that works to the next one: what is current when, and who learns of it.

const lab = await shareAgentLab();
const TOLERANCE_MS = lab.house.rotation.toleranceMs;
let devices = 0;

/** A device that has a certificate. */
async function enrolled(options: Parameters<typeof lab.device>[0] = {}) {
  devices += 1;
  const serialNumber = `SW-${devices}-`;
  const settings = { ...(await lab.ticket(serialNumber)), ...options.settings };
  const device = await lab.device({ ...options, settings });
  await step(device.parts);
  return { device, serialNumber, settings };
}

/** The same one, of which some parts are others. */
const wrapped = ({ folder }: Device, wrap: (parts: AgentParts) => Partial<AgentParts>) =>
  lab.device({ folder, wrap });

const accepted: ProbeVerdict = { kind: 'accepted' };
const refused: ProbeVerdict = { kind: 'refused', detail: 'not today' };
const silence: ProbeVerdict = { kind: 'unclear', detail: 'silence' };
const probing = (verdict: () => ProbeVerdict) => () => ({ probes: [() => Promise.resolve(verdict())] });
const confirming =
  (confirm: AgentParts['authority']['confirm'], probes: AgentParts['probes'] = []) =>
  ({ authority }: AgentParts) => ({ probes, authority: { ...authority, confirm } });
const rehearsing =
  (rehearse: AgentParts['authority']['rehearse']) =>
  ({ authority }: AgentParts) => ({ authority: { ...authority, rehearse } });

describe('a new credential', () => {
  test('is current while it is tried, so that no client goes on with the old one after it was seen', async () => {
    const { device } = await enrolled();
    const before = device.serial();
    const seen: string[] = [];
    const other = await wrapped(device, ({ authority }) => ({
      probes: [
        () => {
          seen.push(device.serial());
          return Promise.resolve(accepted);
        },
      ],
      authority: {
        ...authority,
        confirm: (credential) => {
          seen.push(device.serial());
          return authority.confirm(credential);
        },
      },
    }));
    expect((await step(other.parts, { now: true })).outcome).toBe('renewed');
    const after = device.serial();
    expect(after).not.toBe(before);
    expect(seen).toEqual([after, after]);
    expect(device.parts.state.previous()).toBeUndefined();
  });

  test.each([
    ['who verifies it', probing(() => refused)],
    ['the authority', confirming(() => Promise.resolve(refused))],
    [
      'the authority, though it was let in',
      confirming(() => Promise.resolve(refused), [() => Promise.resolve(accepted)]),
    ],
  ])(
    'that is refused by %s leaves the old one current each time; the third time it is given up',
    async (_who, wrap) => {
      const { device } = await enrolled();
      const before = device.serial();
      const wary = await wrapped(device, wrap);
      const tried = new Set<string | undefined>();
      for (let round = 0; round < 3; round += 1) {
        expect((await step(wary.parts, { now: true })).outcome).toBe('waiting');
        expect(device.serial()).toBe(before);
        expect(device.parts.state.previous()).toBeUndefined();
        tried.add(device.parts.state.next()?.name);
      }
      // The same one, until there is none.
      expect(tried.size).toBe(2);
      expect([...tried].at(-1)).toBeUndefined();
      expect(wary.events.map(({ event }) => event)).toContain('dropped');
      expect(await lab.use(device)).toEqual(accepted);
      expect((await step(device.parts, { now: true })).outcome).toBe('renewed');
    },
  );

  test('that TLS with the authority does not take is never current', async () => {
    const { device } = await enrolled();
    const before = device.serial();
    let confirmed = 0;
    const broken = await wrapped(device, (parts) => ({
      authority: {
        ...rehearsing(() => Promise.resolve(refused))(parts).authority,
        confirm: (credential) => {
          confirmed += 1;
          return parts.authority.confirm(credential);
        },
      },
    }));
    for (let round = 0; round < 3; round += 1) {
      await step(broken.parts, { now: true });
      expect(device.serial()).toBe(before);
    }
    expect(confirmed).toBe(0);
    expect(device.parts.state.next()).toBeUndefined();
  });

  test('waits while nobody hears its rehearsal, and has been seen by nobody then', async () => {
    const { device, serialNumber } = await enrolled();
    const before = device.serial();
    const deaf = await wrapped(
      device,
      rehearsing(() => Promise.resolve(silence)),
    );
    for (let round = 0; round < 5; round += 1) await step(deaf.parts, { now: true });
    expect(device.serial()).toBe(before);
    for (let round = 0; round < 2; round += 1) {
      lab.house.clock.pass(2 * TOLERANCE_MS);
      expect(await lab.use(device)).toEqual(accepted);
    }
    expect((await step(device.parts, { now: true })).outcome).toBe('renewed');
    expect(await lab.issued(serialNumber)).toBe(2);
    expect(await lab.isTwo(serialNumber)).toBe(false);
  });

  test('stays current while nobody answers, however often, and the old one is kept', async () => {
    const { device, serialNumber } = await enrolled();
    const before = device.serial();
    let verdict: ProbeVerdict = silence;
    const wary = await wrapped(
      device,
      probing(() => verdict),
    );
    for (let round = 0; round < 5; round += 1) {
      expect((await step(wary.parts, { now: true })).outcome).toBe('waiting');
      expect(device.serial()).not.toBe(before);
      expect(device.parts.state.previous()).toBeDefined();
    }
    expect(await lab.issued(serialNumber)).toBe(2);
    verdict = accepted;
    expect((await step(wary.parts, { now: true })).outcome).toBe('renewed');
    expect(await lab.issued(serialNumber)).toBe(2);
    expect(device.parts.state.previous()).toBeUndefined();
  });

  test('that was let in works although the word on it was lost', async () => {
    const { device } = await enrolled();
    const before = device.serial();
    const wary = await wrapped(
      device,
      confirming(() => Promise.resolve(silence), [() => Promise.resolve(accepted)]),
    );
    expect((await step(wary.parts, { now: true })).outcome).toBe('renewed');
    expect(device.serial()).not.toBe(before);
  });

  test('that the authority heard of, and then nothing was heard of the authority, is what clients use', async () => {
    const { device, serialNumber } = await enrolled();
    let isLost = true;
    const unsure = await wrapped(device, (parts) =>
      confirming(async (credential) => {
        const word = await parts.authority.confirm(credential);
        return isLost ? silence : word;
      })(parts),
    );
    expect((await step(unsure.parts, { now: true })).outcome).toBe('waiting');
    for (let round = 0; round < 3; round += 1) {
      lab.house.clock.pass(TOLERANCE_MS + 1000);
      expect(await lab.use(device)).toEqual(accepted);
      expect((await step(unsure.parts)).outcome).toBe('waiting');
    }
    isLost = false;
    expect((await step(unsure.parts, { now: true })).outcome).toBe('renewed');
    expect(await lab.isTwo(serialNumber)).toBe(false);
  });

  test('of which nobody knows whether it was seen is tried again and again within minutes, however hard it was to get', async () => {
    const { device } = await enrolled();
    const busy = await wrapped(device, ({ authority }) => ({
      authority: { ...authority, enroll: () => Promise.resolve({ kind: 'later', detail: 'busy' }) },
    }));
    for (let round = 0; round < 12; round += 1) await step(busy.parts, { now: true });
    let asked = 0;
    const unsure = await wrapped(
      device,
      confirming(() => {
        asked += 1;
        return Promise.resolve(silence);
      }),
    );
    const begun = lab.house.clock.now();
    let result = await step(unsure.parts, { now: true });
    while (result.wakeAt < begun + TOLERANCE_MS) {
      lab.house.clock.pass(result.wakeAt - lab.house.clock.now());
      result = await step(unsure.parts);
    }
    expect(asked).toBeGreaterThan(3);
    lab.house.clock.pass(result.wakeAt - lab.house.clock.now());
    expect((await step(device.parts)).outcome).toBe('renewed');
  });

  test('comes before the old one for who connects, as long as it is on trial', async () => {
    const { device } = await enrolled();
    const [before] = usableCredentials(device.parts);
    const wary = await wrapped(
      device,
      probing(() => silence),
    );
    await step(wary.parts, { now: true });
    const [first, second, ...more] = usableCredentials(wary.parts);
    expect(first?.chain[0]).toEqual(device.parts.state.current()?.chain()?.[0]);
    expect(second?.chain[0]).toEqual(before?.chain[0]);
    expect(more).toEqual([]);
    await step(device.parts, { now: true });
    expect(usableCredentials(device.parts)).toHaveLength(1);
  });

  test('must pass the command that verifies it, which gets paths and no secret; the first one too', async () => {
    const out = join(temporaryFolder(), 'out');
    const verifyCommand = `env | grep ^BIRTHMARK_ | sort > ${out}; test -e ${out}.good`;
    const { device } = await enrolled({ settings: { verifyCommand } });
    expect(device.serial()).toBe('');
    expect(readFileSync(out, 'utf8')).toMatch(
      /^BIRTHMARK_CERTIFICATE=.*\/certificate.pem\nBIRTHMARK_KEY=.*\/key.pem\nBIRTHMARK_TRUST=.*\/trust.pem\n$/,
    );
    writeFileSync(`${out}.good`, '');
    expect((await step(device.parts, { now: true })).outcome).toBe('renewed');
    expect(device.serial()).not.toBe('');
  });
});

test('an authority that cannot be reached says nothing of a credential', async () => {
  const { device } = await enrolled();
  const [credential] = usableCredentials(device.parts);
  if (!credential) throw new Error('it is enrolled');
  const { authority } = (await lab.device({ settings: { url: 'https://localhost:1' } })).parts;
  for (const ask of [authority.rehearse, authority.confirm])
    expect(await ask(credential)).toMatchObject({ kind: 'unclear' });
});

test.each([
  ['refuses', 1, false],
  ['says that nobody answered', 75, true],
])('a command that %s ends with %i', async (_says, status, isCurrent) => {
  const { device, settings } = await enrolled();
  const before = device.serial();
  const verifying = { ...settings, verifyCommand: `exit ${status}` };
  const { parts } = await lab.device({ folder: device.folder, settings: verifying });
  expect((await step(parts, { now: true })).outcome).toBe('waiting');
  expect(device.serial() !== before).toBe(isCurrent);
});

describe('who uses the credential', () => {
  /** A device whose command after a change writes down which certificate is current when it runs. */
  async function told() {
    const out = join(temporaryFolder(), 'out');
    writeFileSync(`${out}.good`, '');
    const serial = `openssl x509 -noout -serial -in "$BIRTHMARK_CERTIFICATE" | tr A-F a-f | cut -d= -f2`;
    const { device, settings } = await enrolled({
      settings: { afterChange: `${serial} >> ${out}; test -e ${out}.good` },
    });
    return {
      device,
      settings,
      heard: () => readFileSync(out, 'utf8').trim().split('\n'),
      good: `${out}.good`,
    };
  }

  test('is told of the new one before the authority is', async () => {
    const { device, settings, heard } = await told();
    let heardBefore: readonly string[] = [];
    const other = await lab.device({
      folder: device.folder,
      settings,
      wrap: (parts) =>
        confirming((credential) => {
          heardBefore = heard();
          return parts.authority.confirm(credential);
        })(parts),
    });
    await step(other.parts, { now: true });
    expect(heardBefore.at(-1)).toBe(device.serial());
    expect(heard()).toHaveLength(2);
  });

  test('is told again when it goes back, also where it was not told of the new one', async () => {
    const { device, settings, heard } = await told();
    const before = device.serial();
    for (const wrap of [probing(() => refused), confirming(() => Promise.resolve(refused))]) {
      const wary = await lab.device({ folder: device.folder, settings, wrap });
      await step(wary.parts, { now: true });
      expect(device.serial()).toBe(before);
      expect(heard().at(-1)).toBe(before);
    }
    expect(new Set(heard()).size).toBe(2);
    expect(heard()).toHaveLength(4);
  });

  test('is told of a new one that nobody answers for, which may have been seen', async () => {
    const { device, settings, heard } = await told();
    const wary = await lab.device({ folder: device.folder, settings, wrap: probing(() => silence) });
    await step(wary.parts, { now: true });
    expect(heard().at(-1)).toBe(device.serial());
    expect(heard()).toHaveLength(2);
  });

  test('is told until the command worked once', async () => {
    const out = join(temporaryFolder(), 'out');
    const { device } = await enrolled({ settings: { afterChange: `echo >> ${out}; test -e ${out}.good` } });
    const rounds = () => readFileSync(out, 'utf8').length;
    const once = rounds();
    expect((await step(device.parts)).wakeAt - lab.house.clock.now()).toBe(60_000);
    expect(rounds()).toBe(once + 1);
    writeFileSync(`${out}.good`, '');
    expect((await step(device.parts)).wakeAt - lab.house.clock.now()).toBeGreaterThan(60_000);
    await step(device.parts);
    expect(rounds()).toBe(once + 2);
  });
});
