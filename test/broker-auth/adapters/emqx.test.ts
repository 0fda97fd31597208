import { describe, expect, test } from 'vitest';
import { toBase64 } from '../../../src/core/bytes.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { NOW } from '../../x509/path/make-certificate.ts';
import { hearingGuard } from '../guard/hearing-guard.ts';
import { policyConfig } from '../lab.ts';
import { type Asking, openAsking, SECRET } from './asking.ts';

const HTTP = { emqx: { broker: 'test', listener: 'mqtt' } };
const DENIED = { status: 200, type: 'application/json; charset=utf-8', text: '{"result":"deny"}' };

/** As the template of docs/brokers/emqx.md renders it. */
const authn = (clientid: string, cert: string, more: object = {}) => ({
  clientid,
  username: '',
  peerhost: '192.0.2.7',
  peerport: 41_234,
  dn: `CN=${clientid}`,
  cn: clientid,
  cert,
  ...more,
});

function certOf({ lab }: Asking, name: string): string {
  return toBase64(lab.maker.device(name).der);
}

describe('EMQX is told of a CONNECT', () => {
  test('with the rules of publications and the end, so that it asks no more', async () => {
    await using asking = await openAsking(HTTP);
    const { status, type, text } = await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    expect([status, type]).toEqual([200, 'application/json; charset=utf-8']);
    const answer: unknown = JSON.parse(text);
    expect(answer).toEqual({
      result: 'allow',
      is_superuser: false,
      client_attrs: { id: 'dev1', namespace: 'own', role: 'device' },
      expire_at: Math.floor((NOW + 86_400_000) / 1000),
      acl: [
        { permission: 'allow', action: 'publish', topic: 'devices/dev1/#' },
        { permission: 'deny', action: 'publish', topic: '#' },
      ],
    });
  });

  test('with denials before what allows', async () => {
    const config = policyConfig({
      roles: [{ name: 'device', publish: ['devices/${id}/#'], deny: ['devices/${id}/secret'] }],
    });
    await using asking = await openAsking(HTTP, { config });
    const { text } = await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    const { acl } = JSON.parse(text) as { readonly acl: readonly { readonly permission: string }[] };
    expect(acl.map(({ permission }) => permission)).toEqual(['deny', 'allow', 'deny']);
  });

  test('without an end where Erlang could not count to it', async () => {
    await using asking = await openAsking(HTTP, { config: policyConfig({}, { evidence: 'name' }) });
    const { text } = await asking.json('/emqx/authn', authn('dev1', ''));
    expect(JSON.parse(text)).toMatchObject({ result: 'allow' });
    expect(text).not.toContain('expire_at');
  });

  test.each(['base64', 'PEM'])('by a certificate in %s', async (form) => {
    await using asking = await openAsking(HTTP);
    const { der } = asking.lab.maker.device('dev1');
    const cert = form === 'PEM' ? toPem('CERTIFICATE', der) : toBase64(der);
    const { text } = await asking.json('/emqx/authn', authn('dev1', cert));
    expect(text).toContain('"result":"allow"');
  });
});

describe('EMQX is answered with a denial', () => {
  test('for another ClientId, and for what was taken back', async () => {
    await using asking = await openAsking(HTTP);
    const { lab } = asking;
    const device = lab.maker.device('dev1');
    expect(await asking.json('/emqx/authn', authn('dev2', toBase64(device.der)))).toMatchObject(DENIED);
    lab.status.tell(device, lab.maker.issuer, 'revoked');
    expect(await asking.json('/emqx/authn', authn('dev1', toBase64(device.der)))).toMatchObject(DENIED);
  });

  test.each([
    ['no certificate', ''],
    ['a variable that it does not know', 'undefined'],
    ['half a certificate', 'MIIB'],
    ['no base64', '***'],
  ])('for %s, whatever name is beside it', async (_name, cert) => {
    await using asking = await openAsking(HTTP, { config: policyConfig({}, { evidence: 'certificate' }) });
    expect(await asking.json('/emqx/authn', authn('dev1', cert))).toMatchObject(DENIED);
  });

  test('for a certificate that cannot be read, even where a name is enough', async () => {
    await using asking = await openAsking(HTTP, { config: policyConfig({}, { evidence: 'name' }) });
    expect(await asking.json('/emqx/authn', authn('dev1', '***'))).toMatchObject(DENIED);
    const named = await asking.json('/emqx/authn', authn('dev1', ''));
    expect(named.text).toContain('"result":"allow"');
  });

  test.each([
    ['no JSON', 'application/json; charset=utf-8', '{'],
    ['another content type', 'text/plain', '{}'],
    ['members that are missing', 'application/json', '{"clientid":"dev1"}'],
    ['a prototype', 'application/json; charset=utf-8', '{"__proto__":{"clientid":"dev1"}}'],
    ['a body that is too long', 'application/json; charset=utf-8', `"${'x'.repeat(200_000)}"`],
  ])('for %s, since it reads an error as no opinion', async (_name, type, body) => {
    await using asking = await openAsking(HTTP);
    expect(await asking.raw('/emqx/authn', type, body)).toMatchObject(DENIED);
    expect(await asking.raw('/emqx/authz', type, body)).toMatchObject(DENIED);
    expect(asking.log).toHaveLength(2);
  });

  test('without the secret, and with a wrong one', async () => {
    const http = { emqx: { ...HTTP.emqx, secretFile: 'secret' } };
    await using asking = await openAsking(http);
    const body = authn('dev1', certOf(asking, 'dev1'));
    expect(await asking.json('/emqx/authn', body)).toMatchObject(DENIED);
    for (const wrong of ['Bearer x', `Bearer ${SECRET}x`, `Basic ${SECRET}`, SECRET])
      expect(await asking.json('/emqx/authn', body, { authorization: wrong })).toMatchObject(DENIED);
    const right = await asking.json('/emqx/authn', body, { authorization: `Bearer ${SECRET}` });
    expect(right.text).toContain('"result":"allow"');
    expect(asking.log.join('')).not.toContain(SECRET);
  });

  test('for a listener that nobody told of', async () => {
    const listeners = { 'ssl:default': 'mqtt' };
    await using asking = await openAsking({ emqx: { ...HTTP.emqx, listeners, secretFile: 'secret' } });
    const ask = (listener: string) =>
      asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1'), { listener }), {
        authorization: `Bearer ${SECRET}`,
      });
    expect((await ask('ssl:default')).text).toContain('"result":"allow"');
    expect(await ask('tcp:default')).toMatchObject(DENIED);
  });
});

describe('EMQX asks about a topic', () => {
  test.each([
    ['publish', 'devices/dev1/up', 'allow'],
    ['publish', 'devices/dev2/up', 'deny'],
    ['subscribe', 'devices/dev1/+', 'allow'],
    ['subscribe', 'devices/+/up', 'deny'],
  ])('%s %s: %s', async (action, topic, result) => {
    await using asking = await openAsking(HTTP);
    const ask = () => asking.json('/emqx/authz', { clientid: 'dev1', username: '', action, topic });
    expect(await ask()).toMatchObject(DENIED);
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    expect(JSON.parse((await ask()).text)).toEqual({ result });
  });
});

describe('EMQX tells of an end', () => {
  const tell = (asking: Asking, reason: string, at: number) =>
    asking.json('/emqx/disconnected', { clientid: 'dev1', reason, at });

  test('which is forgotten then', async () => {
    await using asking = await openAsking(HTTP);
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    asking.lab.clock.pass(5000);
    await tell(asking, 'tcp_closed', NOW + 10);
    expect(asking.lab.gate.sessions.size).toBe(0);
  });
  test('but not, by a clock that is ahead, of who has just come back: that session must be known to be ended', async () => {
    await using asking = await openAsking(HTTP);
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    asking.lab.clock.pass(60_000);
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    await tell(asking, 'tcp_closed', NOW + 62_000);
    expect(asking.lab.gate.sessions.size).toBe(1);
  });
  test('but not of the connection that took its place', async () => {
    await using asking = await openAsking(HTTP);
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    await tell(asking, 'takenover', NOW + 10);
    await tell(asking, 'tcp_closed', NOW - 1);
    expect(asking.lab.gate.sessions.size).toBe(1);
  });
});

describe('EMQX tells what it saw and did not ask', () => {
  const see = (asking: Asking, body: object) => asking.json('/emqx/seen', body);

  test('and the guard hears it of the device that is connected with that ClientId', async () => {
    const { guard, heard } = hearingGuard();
    await using asking = await openAsking(HTTP, { guard });
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    await see(asking, { clientid: 'dev1', saw: 'topicDenied', topic: 'devices/dev2/up' });
    await see(asking, { clientid: 'dev1', saw: 'undeliverable', topic: 'devices/dev1/up' });
    expect(heard.slice(1)).toMatchObject([
      { behaviour: 'topicDenied', topic: 'devices/dev2/up', origin: { identity: { id: 'dev1' } } },
      { behaviour: 'undeliverable', topic: 'devices/dev1/up', origin: { identity: { id: 'dev1' } } },
    ]);
  });
  test.each([
    ['of nobody that is connected', { clientid: 'dev2', saw: 'topicDenied', topic: 'a' }],
    ['of what nobody counts so', { clientid: 'dev1', saw: 'authenticationFailed', topic: 'a' }],
  ])('but nothing %s', async (_what, body) => {
    const { guard, heard } = hearingGuard();
    await using asking = await openAsking(HTTP, { guard });
    await asking.json('/emqx/authn', authn('dev1', certOf(asking, 'dev1')));
    await see(asking, body);
    expect(heard.map(({ behaviour }) => behaviour)).toEqual(['connect']);
  });
});
