import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type AgentParts, type EnrollAnswer, step } from '../../src/agent/index.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { codeOfAsync, DAY_MS } from '../house.ts';
import { type Device, secret, shareAgentLab } from './lab.ts';

const lab = await shareAgentLab();
let devices = 0;
const nextSerial = () => {
  devices += 1;
  return `AG-${devices}-`;
};

/** A device that has a certificate. */
async function enrolled(options: Parameters<typeof lab.device>[0] = {}) {
  const serialNumber = nextSerial();
  const settings = { ...(await lab.ticket(serialNumber)), ...options.settings };
  const device = await lab.device({ ...options, settings });
  await step(device.parts);
  return { device, serialNumber, settings };
}

const again = ({ folder }: Device, options: Parameters<typeof lab.device>[0] = {}) =>
  lab.device({ folder, ...options });

async function revoke(device: Device, reason: 'keyCompromise' | 'superseded' = 'keyCompromise') {
  const serial = Buffer.from(device.serial(), 'hex');
  await lab.house.revoker({ act: 'revoke', by: { kind: 'serial', serial }, reason }, 'operator:test');
}

/** Loses the answer to the first enrollment that it is asked. */
function losing(): (parts: AgentParts) => Partial<AgentParts> {
  let lost = false;
  return ({ authority }) => ({
    authority: {
      ...authority,
      enroll: async (request) => {
        const answer = await authority.enroll(request);
        if (lost) return answer;
        lost = true;
        throw new BirthmarkError('unavailable', 'the answer was lost');
      },
    },
  });
}

const answering = (answer: EnrollAnswer) => (parts: AgentParts) => ({
  authority: { ...parts.authority, enroll: () => Promise.resolve(answer) },
});

describe('an agent with a ticket', () => {
  test('gets a credential of which key and certificate are a pair, the key for its owner alone', async () => {
    const { device, serialNumber } = await enrolled();
    const at = (name: string) => join(device.folder, 'current', name);
    const certificate = new X509Certificate(readFileSync(at('certificate.pem')));
    expect(certificate.checkPrivateKey(createPrivateKey(readFileSync(at('key.pem'))))).toBe(true);
    expect(certificate.subject).toContain(`serialNumber=${serialNumber}`);
    expect(statSync(at('key.pem')).mode & 0o777).toBe(0o600);
    expect(readFileSync(at('certificate.pem'), 'utf8').split('BEGIN CERTIFICATE')).toHaveLength(3);
  });

  test('is refused with another ticket than its own, and says so at once', async () => {
    const serialNumber = nextSerial();
    const settings = { ...(await lab.ticket('OTHER')), serialNumber };
    const device = await lab.device({ settings });
    expect(await codeOfAsync(step(device.parts))).toBe('renewal-refused');
    expect(device.serial()).toBe('');
  });

  test('has the same certificate when the answer was lost, after a restart too', async () => {
    const serialNumber = nextSerial();
    const settings = await lab.ticket(serialNumber);
    const first = await lab.device({ settings, wrap: losing() });
    expect((await step(first.parts)).outcome).toBe('waiting');
    const second = await again(first, { settings });
    expect((await step(second.parts, { now: true })).outcome).toBe('renewed');
    expect(await lab.issued(serialNumber)).toBe(1);
  });

  test('says what is missing where nothing vouches for it', async () => {
    expect(await codeOfAsync(step((await lab.device()).parts))).toBe('not-enrolled');
  });

  test('does not read a ticket that others may read', async () => {
    const settings = await lab.ticket(nextSerial());
    chmodSync(settings.ticketFile ?? '', 0o644);
    expect(await codeOfAsync(step((await lab.device({ settings })).parts))).toBe('key-file-permissions');
  });
});

describe('a renewal', () => {
  test('comes in the window and not before, with another key each time', async () => {
    const { device } = await enrolled();
    const before = device.serial();
    const key = readFileSync(join(device.folder, 'current/key.pem'), 'utf8');
    expect((await step(device.parts)).outcome).toBe('not-due');
    lab.house.clock.pass(59 * DAY_MS);
    expect((await step(device.parts)).outcome).toBe('not-due');
    lab.house.clock.pass(17 * DAY_MS);
    expect((await step(device.parts)).outcome).toBe('renewed');
    expect(device.serial()).not.toBe(before);
    expect(readFileSync(join(device.folder, 'current/key.pem'), 'utf8')).not.toBe(key);
  });

  test('comes at once when the server tells a window that is over, and once only', async () => {
    const told = { start: lab.house.clock.now() - 2 * DAY_MS, end: lab.house.clock.now() - DAY_MS };
    const { device, settings } = await enrolled();
    const called = await again(device, {
      settings,
      wrap: ({ authority }) => ({
        authority: { ...authority, renewalInfo: () => Promise.resolve({ window: told }) },
      }),
    });
    lab.house.clock.pass(DAY_MS);
    expect((await step(called.parts)).outcome).toBe('renewed');
    expect((await step(called.parts)).outcome).toBe('not-due');
  });

  test.each([
    ['as often as the server says', undefined, 360],
    ['more often where its settings say so', 30, 30],
    ['not more rarely than the server says', 1440, 360],
  ])('is looked for %s, spread, and a call is heard then', async (_how, lookEveryMinutes, minutes) => {
    const { device, serialNumber } = await enrolled({
      settings: { ...(lookEveryMinutes && { lookEveryMinutes }) },
    });
    const waits = [];
    for (let look = 0; look < 3; look += 1) {
      const result = await step(device.parts);
      waits.push((result.wakeAt - lab.house.clock.now()) / 60_000);
      lab.house.clock.pass(result.wakeAt - lab.house.clock.now());
    }
    for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(minutes);
    for (const wait of waits) expect(wait).toBeLessThan(minutes * 1.2 + 1);
    expect(new Set(waits).size).toBe(3);
    await step(device.parts);
    await lab.house.deviceDesk('callRenewal', { namespace: 'own', serialNumber }, 'operator:test');
    expect((await step(device.parts)).outcome).toBe('not-due');
    lab.house.clock.pass(minutes * 1.2 * 60_000);
    expect((await step(device.parts)).outcome).toBe('renewed');
  });

  test('is looked for at once by who heard elsewhere that it was called for', async () => {
    const { device, serialNumber } = await enrolled();
    await step(device.parts);
    lab.house.clock.pass(120_000);
    expect((await step(device.parts, { look: true })).outcome).toBe('not-due');
    await lab.house.deviceDesk('callRenewal', { namespace: 'own', serialNumber }, 'operator:test');
    expect((await step(device.parts)).outcome).toBe('not-due');
    expect((await step(device.parts, { look: true })).outcome).toBe('renewed');
    expect((await step(device.parts, { look: true })).outcome).toBe('not-due');
  });

  test('waits as long as the server says, and longer after each failure', async () => {
    const { device, settings } = await enrolled();
    const busy = await again(device, {
      settings,
      wrap: answering({ kind: 'later', retryAfterMs: 7200_000, detail: 'busy' }),
    });
    lab.house.clock.pass(80 * DAY_MS);
    const result = await step(busy.parts);
    expect(result).toMatchObject({ outcome: 'waiting', problem: 'busy' });
    expect(result.wakeAt - lab.house.clock.now()).toBe(7200_000);
    expect(await step(busy.parts)).toMatchObject({ outcome: 'waiting', wakeAt: result.wakeAt });
    expect(device.serial()).not.toBe('');
    lab.house.clock.pass(7200_000);
    expect((await step(device.parts)).outcome).toBe('renewed');
  });

  test('that was refused for good is done anew by the IDevID, with a key that nobody has seen', async () => {
    const serialNumber = nextSerial();
    const settings = await lab.idevid(serialNumber);
    const device = await lab.device({ settings });
    expect((await step(device.parts)).outcome).toBe('renewed');
    const before = device.serial();
    await revoke(device);
    expect((await step(device.parts, { now: true })).outcome).toBe('renewed');
    expect(device.serial()).not.toBe(before);
    expect(device.events.map(({ event, detail }) => `${event} ${/by \w+/.exec(detail)?.[0] ?? ''}`)).toEqual(
      expect.arrayContaining(['refused by current', 'asked by idevid']),
    );
  });

  test('that was refused for good is not done where there is no IDevID, and the device keeps what it has', async () => {
    const { device } = await enrolled();
    const before = device.serial();
    await revoke(device);
    const result = await step(device.parts, { now: true });
    expect(result.outcome).toBe('waiting');
    expect(result.problem).toContain('certificate-revoked');
    expect(device.serial()).toBe(before);
  });

  test('does not go round an operator who holds the certificate', async () => {
    const serialNumber = nextSerial();
    const device = await lab.device({ settings: await lab.idevid(serialNumber) });
    await step(device.parts);
    const serial = Buffer.from(device.serial(), 'hex');
    await lab.house.revoker({ act: 'hold', by: { kind: 'serial', serial } }, 'operator:test');
    expect((await step(device.parts, { now: true })).outcome).toBe('waiting');
    expect(await lab.issued(serialNumber)).toBe(1);
  });
});

describe('a clock that is wrong', () => {
  test.each([
    ['a decade behind', -3650],
    ['a day behind', -1],
    ['a day ahead', 1],
  ])('by %s does not keep a device from enrolling, and makes it renew no more often', async (_name, days) => {
    const serialNumber = nextSerial();
    const clock = () => lab.house.clock.now() + days * DAY_MS;
    const device = await lab.device({ settings: await lab.ticket(serialNumber), clock });
    expect((await step(device.parts)).outcome).toBe('renewed');
    for (let round = 0; round < 5; round += 1) expect((await step(device.parts)).outcome).toBe('not-due');
    expect(device.events.filter(({ event }) => event === 'clock')).toHaveLength(1);
    lab.house.clock.pass(76 * DAY_MS);
    expect((await step(device.parts)).outcome).toBe('renewed');
  });

  test('by a decade ahead believes no server, says why, and asks rarely', async () => {
    const { device, settings, serialNumber } = await enrolled();
    const clock = () => lab.house.clock.now() + 11 * 365 * DAY_MS;
    const ahead = await again(device, { settings, clock });
    const result = await step(ahead.parts);
    expect(result.outcome).toBe('waiting');
    expect(result.problem).toMatch(/is this machine's clock right/);
    expect(await step(ahead.parts)).toMatchObject({ wakeAt: result.wakeAt });
    expect(await lab.issued(serialNumber)).toBe(1);
    expect((await step((await again(device, { settings })).parts, { now: true })).outcome).toBe('renewed');
  });
});

test('what a state folder holds tells no secret but the key: no ticket, no password', async () => {
  const { device, settings } = await enrolled();
  const ticket = readFileSync(settings.ticketFile ?? '', 'utf8').trim();
  for (const name of readdirSync(device.folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(device.folder, name);
    if (existsSync(path) && statSync(path).isFile()) expect(readFileSync(path, 'utf8')).not.toContain(ticket);
  }
  expect(JSON.stringify(device.events)).not.toContain(ticket);
  expect(secret('x', '')).not.toContain(ticket);
});
