import { describe, expect, test } from 'vitest';
import { readByOthers, verifiesByOthers } from '../../src/x509/second-opinion.ts';
import { ALL_KEY_KINDS, SHAPES, sampleCertificate, sampleKey, sampleTbs, signed } from './samples.ts';
import { hex } from './tlv.ts';

const key = sampleKey('P-256');

describe('what we wrote', () => {
  test.each(ALL_KEY_KINDS)(
    '%s: both libraries read each shape as we do, and believe its signature',
    async (kind) => {
      const ca = sampleKey(kind);
      const root = sampleCertificate('ca', ca, ca);
      for (const shape of SHAPES) {
        const certificate = sampleCertificate(shape, shape === 'ca' ? ca : sampleKey(kind), ca);
        expect(await readByOthers(certificate), shape).toEqual([]);
        expect(await verifiesByOthers(certificate, root), shape).toBe(true);
      }
    },
  );

  test.each(['00', '01', '7f', '80', 'ff', '00ff', '0080', `7f${'00'.repeat(19)}`, 'ff'.repeat(19)])(
    'they read the serial number %s as we do',
    async (serial) => {
      expect(await readByOthers(signed(key, sampleTbs('ca', key, key, { serial: hex(serial) })))).toEqual([]);
    },
  );

  test.each([
    ['1950', Date.UTC(1950, 0, 1)],
    ['2049', Date.UTC(2049, 11, 31, 23, 59, 59)],
    ['2050', Date.UTC(2050, 0, 1)],
    ['9999', Date.UTC(9999, 11, 31, 23, 59, 59)],
  ])('they read a time of %s as we do', async (_year, notAfter) => {
    expect(await readByOthers(signed(key, sampleTbs('ca', key, key, { notAfter })))).toEqual([]);
  });
});

describe('what is wrong', () => {
  const root = sampleCertificate('ca', key, key);
  const device = sampleCertificate('idevid', sampleKey('P-256'), key);

  test('refuses the signature of another key', async () => {
    const other = sampleCertificate('ca', sampleKey('P-256'), key);
    expect(await verifiesByOthers(device, root)).toBe(true);
    expect(await verifiesByOthers(device, other)).toBe(false);
  });

  test('refuses a signature over other octets', async () => {
    const changed = Buffer.from(device);
    const at = changed.indexOf('SN-0001');
    changed.write('SN-0002', at);
    expect(await verifiesByOthers(changed, root)).toBe(false);
  });

  test('refuses an issuer that is no certificate', async () => {
    expect(await verifiesByOthers(device, hex('30 00'))).toBe(false);
  });

  test('says which library cannot read it', async () => {
    const broken = signed(key, sampleTbs('ca', key, key, { subject: hex('30 02 05 00') }));
    const opinions = await readByOthers(broken);
    expect(opinions).toHaveLength(2);
    expect(opinions[0]).toMatch(/^pkijs cannot read it: /);
    expect(opinions[1]).toMatch(/^@peculiar\/x509 cannot read it: /);
  });

  test('says what a library reads otherwise', async () => {
    // A key whose algorithm identifier has an attribute more than there is room for: pkijs drops it.
    const spki = hex('30 0d 30 08 06 02 2a 03 05 00 05 00 03 01 00');
    const opinions = await readByOthers(signed(key, sampleTbs('ca', key, key, { spki })));
    expect(opinions.length).toBeGreaterThan(0);
  });

  test('throws where we cannot read it ourselves', async () => {
    await expect(readByOthers(Buffer.concat([root, hex('00')]))).rejects.toMatchObject({ code: 'bad-der' });
  });
});
