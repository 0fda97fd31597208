import { expect, test } from 'vitest';
import { inject, shareTestServer } from './test-server.ts';

const server = await shareTestServer();
const { json: document, headers } = await inject(server.remote, 'GET', '/api/v1/openapi.json');

interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema?: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: object }>> };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description?: string;
        readonly content?: Readonly<Record<string, { readonly schema?: object }>>;
      }
    >
  >;
}

const operations: [string, Operation][] = Object.entries<Record<string, Operation>>(document.paths).flatMap(
  ([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
);

/** What they answer with is no JSON document. */
const STREAMS = /\/(?:batch|status-feed|status-snapshot)$/;

/** Every value of every member of that name. */
function* members(value: unknown, name: string): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === name) yield inner;
    yield* members(inner, name);
  }
}

test('is OpenAPI 3.1, for everybody, as JSON', () => {
  expect(headers['content-type']).toMatch(/^application\/json/);
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Birthmark', version: '0.0.0' },
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  });
});

test('holds each address of the contract, and none of its own', () => {
  expect(
    operations
      .map(([name]) => name)
      .filter((name) => !name.startsWith('HEAD'))
      .sort(),
  ).toEqual(
    [
      'POST /api/v1/factory/batch',
      'POST /api/v1/revocations',
      'POST /api/v1/certificates/{serial}/revoke',
      'POST /api/v1/certificates/{serial}/hold',
      'POST /api/v1/certificates/{serial}/unhold',
      'POST /api/v1/enroll',
      'POST /api/v1/tickets',
      'GET /api/v1/devices',
      'GET /api/v1/devices/{serialNumber}',
      'POST /api/v1/devices/{serialNumber}/allow-rebirth',
      'POST /api/v1/devices/{serialNumber}/quarantine',
      'POST /api/v1/devices/{serialNumber}/call-renewal',
      'GET /api/v1/confirmations',
      'POST /api/v1/confirmations',
      'GET /api/v1/renewal-info/{id}',
      'POST /api/v1/devices/{serialNumber}/recover',
      'POST /api/v1/devices/{serialNumber}/release',
      'POST /api/v1/devices/{serialNumber}/retire',
      'POST /api/v1/tickets/{id}/approve',
      'GET /api/v1/certificates',
      'POST /api/v1/certificates',
      'GET /api/v1/certificates/{serial}',
      'GET /api/v1/tokens',
      'POST /api/v1/tokens',
      'DELETE /api/v1/tokens/{name}',
      'POST /api/v1/admission/explain',
      'GET /api/v1/authorities',
      'GET /api/v1/authorities/{name}',
      'POST /api/v1/authorities/{name}/rotate',
      'POST /api/v1/authorities/{name}/activate',
      'POST /api/v1/authorities/{name}/retire',
      'GET /api/v1/trust',
      'POST /api/v1/trust',
      'DELETE /api/v1/trust/{fingerprint}',
      'GET /api/v1/enrollments',
      'POST /api/v1/enrollments/{id}/approve',
      'POST /api/v1/enrollments/{id}/deny',
      'GET /api/v1/audit',
      'GET /api/v1/incidents',
      'GET /api/v1/status-feed',
      'GET /api/v1/key-compromise',
      'POST /api/v1/key-compromise',
      'GET /api/v1/status-snapshot',
      'POST /api/v1/sightings',
      'POST /api/v1/quarantines',
      'GET /api/v1/campaigns',
      'POST /api/v1/campaigns',
      'GET /api/v1/campaigns/{name}',
      'DELETE /api/v1/campaigns/{name}',
      'GET /api/v1/campaigns/{name}/members',
      'POST /api/v1/campaigns/{name}/plan',
      'POST /api/v1/campaigns/{name}/approve',
      'POST /api/v1/campaigns/{name}/start',
      'POST /api/v1/campaigns/{name}/pause',
      'POST /api/v1/campaigns/{name}/resume',
      'POST /api/v1/campaigns/{name}/rollback',
      'GET /api/v1/hygiene',
      'POST /api/v1/hygiene/scan',
    ].sort(),
  );
});

test.each(operations.filter(([name]) => !name.startsWith('HEAD')))(
  '%s is described: what it is, what it takes, what it gives',
  (name, operation) => {
    expect(operation.summary).toBeTruthy();
    expect(operation.tags).toHaveLength(1);
    const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const named = (operation.parameters ?? [])
      .filter(({ in: where }) => where === 'path')
      .map(({ name: parameter }) => parameter);
    expect(named).toEqual(inPath);
    for (const parameter of operation.parameters ?? []) expect(parameter.schema).toBeDefined();
    const [[status, answer] = ['', undefined]] = Object.entries(operation.responses);
    expect(status).toMatch(/^2/);
    expect(answer?.description).toBeTruthy();
    if (status !== '204' && !STREAMS.test(name)) {
      expect(Object.values(answer?.content ?? {})[0]?.schema).toMatchObject({ type: 'object' });
    }
  },
);

test('what the batch door takes and gives is named', () => {
  const batch = operations.find(([name]) => name.endsWith('/factory/batch'))?.[1];
  expect(Object.keys(batch?.requestBody?.content ?? {})).toContain('application/x-ndjson');
  expect(Object.keys(batch?.responses['200']?.content ?? {})).toEqual(['application/x-ndjson']);
});

test('has no reference that leads nowhere', () => {
  for (const reference of members(document, '$ref')) {
    const path = String(reference).replace(/^#\//, '').split('/');
    let at: unknown = document;
    for (const part of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined;
    expect(at, String(reference)).toBeDefined();
  }
});

test('has no words of older drafts', () => {
  for (const word of ['nullable', 'exclusiveMinimum', 'example', 'discriminator'])
    for (const value of members(document, word)) expect(typeof value).not.toBe('boolean');
});

test('refuses what its schema refuses: members that it does not know', () => {
  for (const [name, { requestBody }] of operations) {
    const body = Object.values(requestBody?.content ?? {})[0]?.schema;
    if (body && !name.endsWith('/batch'))
      expect(body, name).toMatchObject({ type: 'object', additionalProperties: false });
  }
});

test('is readable at /docs', async () => {
  const page = await inject(server.remote, 'GET', '/api/v1/docs');
  const target = page.status === 302 ? String(page.headers.location) : '/api/v1/docs/';
  const docs = await inject(server.remote, 'GET', new URL(target, 'https://x/api/v1/docs').pathname);
  expect(docs.status).toBe(200);
  expect(docs.text).toContain('swagger-ui');
  const script = /src="([^"]*swagger-ui-bundle\.js)"/.exec(docs.text)?.[1] ?? '';
  const asset = await inject(server.remote, 'GET', new URL(script, 'https://x/api/v1/docs/').pathname);
  expect(asset.status).toBe(200);
  const definition = await inject(server.remote, 'GET', '/api/v1/docs/json');
  expect(definition.json).toEqual(document);
});
