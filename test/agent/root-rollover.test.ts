import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { step } from '../../src/agent/index.ts';
import { activateGeneration } from '../../src/ca/rollover/activate-generation.ts';
import { prepareGeneration } from '../../src/ca/rollover/prepare-generation.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { nameToText } from '../../src/x509/name.ts';
import { DAY_MS } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { type Device, shareAgentLab } from './lab.ts';

// A new root under agents that run, as docs/authorities.md has it: it is published with certificates across, it becomes current,
// then the authorities below it and the server's own certificate follow.

const lab = await shareAgentLab();
const { house } = lab;

const prepare = (family: string) => prepareGeneration(house.rollover, { family }, 'operator:anna');
const activate = (family: string) =>
  activateGeneration(house.rollover, { family, now: true }, 'operator:anna');
const roots = ({ parts }: Device) =>
  new Set(parts.state.readCertificates('trust.pem').map((der) => Buffer.from(der).toString('hex'))).size;
const issuerOf = ({ parts }: Device) =>
  nameToText(parseCertificate(parts.state.current()?.chain()?.[0] ?? new Uint8Array()).tbs.issuer);
const kinds = ({ events }: Device) => events.map(({ event }) => event);
const at = ({ folder }: Device, url: string) => lab.device({ folder, settings: { url } });

test('a new root is taken by agents that run, and by one that was off meanwhile, and all go on under it', async () => {
  const out = join(temporaryFolder(), 'out');
  const told = () => readFileSync(out, 'utf8').length;
  const afterChange = `echo >> ${out}`;
  const running = await lab.device({ settings: { ...(await lab.ticket('RR-1')), afterChange } });
  const away = await lab.device({ settings: await lab.ticket('RR-2') });
  for (const { parts } of [running, away]) {
    await step(parts);
    await step(parts);
  }

  // Published: it is asked for once a day.
  await prepare('root');
  expect((await step(running.parts)).outcome).toBe('not-due');
  expect(roots(running)).toBe(1);
  expect(told()).toBe(1);
  house.clock.pass(DAY_MS);
  expect((await step(running.parts)).outcome).toBe('not-due');
  expect(roots(running)).toBe(2);
  expect(kinds(running)).toContain('trust-changed');
  expect(told()).toBe(2);

  // The server and what is issued stand under it. Here nobody shows the way round by the old root any more.
  await activate('root');
  for (const family of ['service', 'ldevid']) {
    await prepare(family);
    await activate(family);
  }
  const straight = await lab.listen((chain) => chain.slice(0, 2));
  const after = await at(running, straight);
  expect((await step(after.parts, { now: true })).outcome).toBe('renewed');
  expect(issuerOf(after)).toContain('ldevid CA 2');
  expect(await lab.use(after)).toEqual({ kind: 'accepted' });
  expect(await step((await at(away, straight)).parts, { now: true })).toMatchObject({
    outcome: 'waiting',
    problem: expect.stringContaining('is not the server that our roots vouch for'),
  });

  // Who was off meanwhile finds the certificate across in what the server shows.
  const back = await at(away, await lab.listen());
  expect(roots(back)).toBe(1);
  expect((await step(back.parts, { now: true })).outcome).toBe('renewed');
  expect(issuerOf(back)).toContain('ldevid CA 2');
  expect(roots(back)).toBe(2);
  for (const device of [running, after, back]) expect(kinds(device)).not.toContain('root-refused');
});
