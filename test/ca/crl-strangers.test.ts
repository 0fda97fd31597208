// What was taken back, as OpenSSL and GnuTLS see it in our lists.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DELTA, FULL } from '../../src/ca/crl/scope.ts';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { toPem } from '../../src/x509/pem.ts';
import { BEGINNING, openTestHouse } from '../house.ts';
import { hasProgram, runProgram } from '../interop/run-program.ts';

test.skipIf(!hasProgram('pki'))(
  'strongSwan refuses by the full list what is revoked, and knows no status where a delta lies beside it',
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
    const write = (name: string, label: 'CERTIFICATE' | 'X509 CRL', der: Uint8Array = Buffer.of()) =>
      writeFileSync(path.join(folder, name), toPem(label, der));
    using house = await openTestHouse({ shards: 1 });
    const { authorities, clock, crls, ledger, revoker } = house;
    try {
      clock.pass(Date.now() - BEGINNING - 120_000);
      const [revoked, good] = [await house.grant('revoked'), await house.grant('good')];
      write('revoked.pem', 'CERTIFICATE', revoked.certificate);
      write('good.pem', 'CERTIFICATE', good.certificate);
      await publishDueCrls(crls, clock.now());
      clock.pass(61_000);
      const by = { kind: 'serial', serial: revoked.serial } as const;
      await revoker({ act: 'revoke', by, reason: 'superseded' }, 'system');
      await publishDueCrls(crls, clock.now());
      clock.pass(1000);
      // A delta of a higher number than the full list's.
      await revoker(
        { act: 'hold', by: { kind: 'serial', serial: (await house.grant('other')).serial } },
        'system',
      );
      write('full.crl', 'X509 CRL', (await ledger.read.findCrl('idevid', FULL))?.crl);
      write('delta.crl', 'X509 CRL', (await ledger.read.findCrl('idevid', DELTA))?.crl);
      for (const name of ['idevid', 'root'])
        write(`${name}.pem`, 'CERTIFICATE', authorities.get(name)?.certificate.raw);
      const status = async (name: string, ...lists: readonly string[]) => {
        const words = [
          '--cacert',
          'idevid.pem',
          '--cacert',
          'root.pem',
          ...lists.flatMap((list) => ['--crl', list]),
        ];
        const { out, err } = await runProgram('pki', ['--verify', '--in', `${name}.pem`, ...words], {
          cwd: folder,
        });
        return /certificate (?:was revoked|status is good|status is not available)/.exec(out + err)?.[0];
      };
      expect(await status('revoked', 'full.crl')).toBe('certificate was revoked');
      expect(await status('good', 'full.crl')).toBe('certificate status is good');
      // docs/revocation.md warns of it; where this fails, the warning can go.
      expect(await status('revoked', 'full.crl', 'delta.crl')).toBe('certificate status is not available');
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test('OpenSSL refuses what is revoked or held, takes what is released or good; GnuTLS verifies the lists', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
  const write = (name: string, label: 'CERTIFICATE' | 'X509 CRL', der: Uint8Array) =>
    writeFileSync(path.join(folder, name), toPem(label, der));
  using house = await openTestHouse({ shards: 1 });
  const { authorities, clock, crls, ledger, revoker } = house;
  try {
    clock.pass(Date.now() - BEGINNING - 120_000);
    const names = ['revoked', 'held', 'released', 'good'];
    for (const name of names) {
      const { certificate, serial } = await house.grant(name);
      write(`${name}.pem`, 'CERTIFICATE', certificate);
      const by = { kind: 'serial', serial } as const;
      if (name === 'revoked')
        await revoker({ act: 'revoke', by, reason: 'superseded', invalidityAt: BEGINNING }, 'system');
      if (name === 'held' || name === 'released') await revoker({ act: 'hold', by }, 'system');
      if (name === 'released') await revoker({ act: 'release', by }, 'system');
    }
    await publishDueCrls(crls, clock.now());
    for (const [name, scope] of [
      ['idevid', FULL],
      ['idevid', '0'],
      ['root', FULL],
    ] as const) {
      write(`${name}-${scope}.crl`, 'X509 CRL', (await ledger.read.findCrl(name, scope))?.crl ?? Buffer.of());
      write(`${name}.pem`, 'CERTIFICATE', authorities.get(name)?.certificate.raw ?? Buffer.of());
    }
    const openssl = async (name: string, ...words: string[]) => {
      const trust = ['-CAfile', 'root.pem', '-untrusted', 'idevid.pem', `${name}.pem`];
      const { status, out, err } = await runProgram('openssl', ['verify', ...words, ...trust], {
        cwd: folder,
      });
      return status === 0 ? 'OK' : (/lookup: (.*)/.exec(out + err)?.[1] ?? out + err);
    };
    const ways = [
      ['-crl_check', '-CRLfile', 'idevid-full.crl'],
      ['-crl_check', '-extended_crl', '-CRLfile', 'idevid-0.crl'],
      ['-crl_check_all', '-extended_crl', '-CRLfile', 'idevid-0.crl', '-CRLfile', 'root-full.crl'],
    ];
    const verdicts = await Promise.all(
      ways.map((way) => Promise.all(names.map((name) => openssl(name, ...way)))),
    );
    const refused = 'certificate revoked';
    expect(verdicts).toEqual(ways.map(() => [refused, refused, 'OK', 'OK']));
    for (const list of ['idevid-full.crl', 'idevid-0.crl']) {
      const certtool = (ca: string) =>
        runProgram('certtool', ['--verify-crl', '--load-ca-certificate', ca, '--infile', list], {
          cwd: folder,
        });
      expect((await certtool('idevid.pem')).status).toBe(0);
      expect((await certtool('root.pem')).status).not.toBe(0);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
