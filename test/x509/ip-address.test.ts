import { BlockList, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipAddressOctets } from '../../src/x509/ip-address.ts';

const octetsOf = (text: string) => {
  const octets = ipAddressOctets(text);
  return octets && Buffer.from(octets).toString('hex');
};

test.each([
  ['127.0.0.1', '7f000001'],
  ['255.255.255.255', 'ffffffff'],
  ['::', '00'.repeat(16)],
  ['::1', `${'00'.repeat(15)}01`],
  ['1::', `0001${'00'.repeat(14)}`],
  ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
  ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
  ['::ffff:192.0.2.1', `${'00'.repeat(10)}ffffc0000201`],
  ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
  ['1:2:3:4:5:6:192.0.2.1', '000100020003000400050006c0000201'],
  ['FE80::A', `fe80${'00'.repeat(13)}0a`],
])('reads %s', (text, octets) => {
  expect(octetsOf(text)).toBe(octets);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4.5',
  '127.1',
  '0x7f.0.0.1',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
  'fe80::1%eth0',
  '::1/128',
  '[::1]',
  '10.0.0.0/8',
  'localhost',
  ' ::1',
])('reads no address in %j', (text) => {
  expect(octetsOf(text)).toBeUndefined();
});

test('reads every form of an IPv6 address as node:net does', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      fc.pre(isIPv6(text));
      const octets = ipAddressOctets(text) ?? new Uint8Array(0);
      expect(octets).toHaveLength(16);
      const plain = Buffer.from(octets)
        .toString('hex')
        .replace(/....(?=.)/g, '$&:');
      const list = new BlockList();
      list.addAddress(plain, 'ipv6');
      expect(list.check(text, 'ipv6')).toBe(true);
    }),
  );
});
