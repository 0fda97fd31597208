import { hash } from 'node:crypto';
import { basename } from 'node:path';
import type { Handle, PKCS11 } from 'pkcs11js';
import { equalBytes } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { encode, sequence } from '../../x509/der/encode.ts';
import { DerReader } from '../../x509/der/reader.ts';
import { TAG } from '../../x509/der/tags.ts';
import { bitString, nullValue, oid, unsigned } from '../../x509/der/values.ts';
import type { DeviceKey, KeyStore } from '../ports.ts';
import { algorithmFor } from './file-key.ts';
import type { KeyType } from './key-type.ts';

/** A PKCS#11 token, in which keys are made, used and destroyed, and which none of them ever leaves. */
export interface TokenOptions {
  /** The token's PKCS#11 library. */
  readonly module: string;
  /** The token's label. */
  readonly token: string;
  /** Asked for when it is opened, kept nowhere. */
  readonly pin: () => string;
  /** The file that `pin` reads, for OpenSSL's engine, which signs in by itself. */
  readonly pinFile: string;
  /**
   * OpenSSL's engine for PKCS#11 (Debian: libengine-pkcs11-openssl); without it TLS cannot use the token's keys. OpenSSL looks for
   * it in the folder that OPENSSL_ENGINES names, and it looks for the token's library in PKCS11_MODULE_PATH: who runs the process
   * sets both.
   */
  readonly engine?: string;
}

export interface Token {
  keys(): KeyStore;
  /** The key with that label, which somebody else made. */
  find(label: string): DeviceKey;
  close(): void;
}

/** Values of PKCS#11 2.40; the package's own are only there where it is installed. */
const CK = {
  userPin: 1,
  serialSession: 0x4,
  rwSession: 0x2,
  class: 0x0,
  token: 0x1,
  private: 0x2,
  label: 0x3,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  extractable: 0x162,
  ecParams: 0x180,
  ecPoint: 0x181,
  publicKey: 2,
  privateKey: 3,
  rsaKey: 0,
  rsaKeyPairGen: 0x0,
  ecKeyPairGen: 0x1040,
  sha256Rsa: 0x40,
  ecdsa: 0x1041,
} as const;

const CURVES = new Map<KeyType, Buffer>([
  ['ec-p256', encode(oid('1.2.840.10045.3.1.7'))],
  ['ec-p384', encode(oid('1.3.132.0.34'))],
]);
const MARK = 'birthmark-';

/**
 * Opens a token and signs in.
 *
 * @throws BirthmarkError `key-store-failed`
 */
export async function openToken(options: TokenOptions): Promise<Token> {
  const { module, token, pin } = options;
  const library = await loadLibrary();
  return guarded(`the token ${token} cannot be opened with ${module}`, () => {
    library.load(module);
    try {
      library.C_Initialize();
    } catch (error) {
      // OpenSSL's engine may have been there before.
      if (!/ALREADY_INITIALIZED/.test(String(error))) throw error;
    }
    const slot = library
      .C_GetSlotList(true)
      .find((one) => library.C_GetTokenInfo(one).label.replace(/[\0 ]+$/, '') === token);
    if (!slot) throw new Error('no token has that label');
    const session = library.C_OpenSession(slot, CK.serialSession | CK.rwSession);
    try {
      library.C_Login(session, CK.userPin, pin());
    } catch (error) {
      if (!/ALREADY_LOGGED_IN/.test(String(error))) throw error;
    }
    const keyAt = (id: Buffer, what: string): DeviceKey | undefined =>
      readKey({ library, session }, id, what, options);
    return {
      keys: () => tokenKeys({ library, session }, keyAt),
      find: (label) => {
        const [handle, ...more] = findObjects({ library, session }, [
          { type: CK.class, value: CK.privateKey },
          { type: CK.label, value: label },
        ]);
        const id = handle && more.length === 0 && attribute({ library, session }, handle, CK.id);
        const key = id && keyAt(id, label);
        if (key) return key;
        throw failed(`the token ${token} has not exactly one key pair labelled ${JSON.stringify(label)}`);
      },
      close: () => library.C_CloseSession(session),
    };
  });
}

async function loadLibrary(): Promise<PKCS11> {
  try {
    const { PKCS11: Library } = await import('pkcs11js');
    return new Library();
  } catch (cause) {
    throw new BirthmarkError(
      'key-store-failed',
      'the package pkcs11js is not built here; "npm run build:pkcs11" builds it (it needs a C++ compiler)',
      { cause },
    );
  }
}

interface Open {
  readonly library: PKCS11;
  readonly session: Handle;
}

/** A key's name, in hexadecimal, is its CKA_ID. */
function tokenKeys(open: Open, keyAt: (id: Buffer, what: string) => DeviceKey | undefined): KeyStore {
  const find = (name: string) => keyAt(Buffer.from(name, 'hex'), name);
  return {
    has: (name) => find(name) !== undefined,
    make: (name, _folder, type) =>
      guarded(`no ${type} key can be made in the token`, () =>
        generate(open, type, Buffer.from(name, 'hex'), `${MARK}${name}`),
      ),
    open: (name) => {
      const key = find(name);
      if (key) return key;
      throw failed(`the key ${name} is not in the token`);
    },
    destroy: (name) =>
      guarded('a key cannot be removed from the token', () => {
        const { library, session } = open;
        const label = { type: CK.label, value: `${MARK}${name}` };
        for (const handle of findObjects(open, [{ type: CK.id, value: Buffer.from(name, 'hex') }, label]))
          library.C_DestroyObject(session, handle);
      }),
  };
}

function generate({ library, session }: Open, type: KeyType, id: Buffer, label: string): void {
  const common = [
    { type: CK.token, value: true },
    { type: CK.id, value: id },
    { type: CK.label, value: label },
  ];
  const secret = [
    ...common,
    { type: CK.private, value: true },
    { type: CK.sensitive, value: true },
    { type: CK.extractable, value: false },
    { type: CK.sign, value: true },
  ];
  if (type.startsWith('rsa-')) {
    const open = [
      { type: CK.modulusBits, value: Number(type.slice('rsa-'.length)) },
      { type: CK.publicExponent, value: Buffer.of(1, 0, 1) },
      { type: CK.verify, value: true },
    ];
    library.C_GenerateKeyPair(session, { mechanism: CK.rsaKeyPairGen }, [...common, ...open], secret);
    return;
  }
  const curve = CURVES.get(type);
  if (!curve) throw new Error('few tokens can; take ec-p256');
  const open = [
    { type: CK.ecParams, value: curve },
    { type: CK.verify, value: true },
  ];
  library.C_GenerateKeyPair(session, { mechanism: CK.ecKeyPairGen }, [...common, ...open], secret);
}

/** The key with that CKA_ID, of which both halves must be there; undefined where neither is. */
function readKey(open: Open, id: Buffer, what: string, options: TokenOptions): DeviceKey | undefined {
  const half = (kind: number) =>
    findObjects(open, [
      { type: CK.class, value: kind },
      { type: CK.id, value: id },
    ]);
  const [privateKey, ...morePrivate] = half(CK.privateKey);
  const [publicKey] = half(CK.publicKey);
  if (!privateKey && !publicKey) return undefined;
  if (!privateKey || !publicKey || morePrivate.length > 0)
    throw failed(`the key ${what} in the token ${options.token} has not one private and one public half`);
  const spki = guarded('the public key cannot be read', () => readSpki(open, publicKey));
  const algorithm = algorithmFor(spki);
  return {
    spki,
    algorithm,
    sign: (tbs) => guarded('the token does not sign', () => sign(open, privateKey, algorithm, tbs)),
    tls: () => tlsKey(id, options),
  };
}

/** Node gives TLS such a key through an engine of OpenSSL only; there is no way to hand it a signing function. */
function tlsKey(id: Buffer, { token, pinFile, engine }: TokenOptions): ReturnType<DeviceKey['tls']> {
  if (engine === undefined)
    throw failed(
      'TLS can use a key in a token only through an engine of OpenSSL: install libengine-pkcs11-openssl and give its path',
    );
  const idText = [...id].map((octet) => `%${octet.toString(16).padStart(2, '0')}`).join('');
  const uri = `pkcs11:token=${encodeURIComponent(token)};id=${idText};type=private?pin-source=file:${pinFile}`;
  // By its path it would be loaded anew for each key, which its second time does not survive.
  return { privateKeyEngine: basename(engine, '.so'), privateKeyIdentifier: uri };
}

function sign(
  { library, session }: Open,
  key: Handle,
  algorithm: DeviceKey['algorithm'],
  tbs: Uint8Array,
): Buffer {
  if (algorithm.startsWith('rsa')) {
    library.C_SignInit(session, { mechanism: CK.sha256Rsa }, key);
    return library.C_Sign(session, Buffer.from(tbs), Buffer.alloc(1024));
  }
  const digest = algorithm === 'ecdsa-sha256' ? 'sha256' : 'sha384';
  library.C_SignInit(session, { mechanism: CK.ecdsa }, key);
  const raw = library.C_Sign(session, hash(digest, tbs, 'buffer'), Buffer.alloc(256));
  // PKCS#11 gives r ‖ s (§2.3.1), certificates want a SEQUENCE (RFC 5480 Appendix A).
  const half = raw.length / 2;
  return encode(sequence(unsigned(raw.subarray(0, half)), unsigned(raw.subarray(half))));
}

function readSpki(open: Open, key: Handle): Buffer {
  const keyType = attribute(open, key, CK.keyType).readUInt32LE(0);
  if (keyType === CK.rsaKey) {
    const body = encode(
      sequence(unsigned(attribute(open, key, CK.modulus)), unsigned(attribute(open, key, CK.publicExponent))),
    );
    return encode(sequence(sequence(oid('1.2.840.113549.1.1.1'), nullValue()), bitString(body)));
  }
  const parameters = attribute(open, key, CK.ecParams);
  if (![...CURVES.values()].some((curve) => equalBytes(curve, parameters)))
    throw new Error('it is not on P-256 or P-384');
  const point = new DerReader(attribute(open, key, CK.ecPoint)).content(TAG.octetString, 'EC_POINT');
  return encode(sequence(sequence(oid('1.2.840.10045.2.1'), parameters), bitString(point)));
}

function attribute({ library, session }: Open, object: Handle, type: number): Buffer {
  const [found] = library.C_GetAttributeValue(session, object, [{ type }]);
  if (found) return found.value;
  throw new Error(`it has no attribute ${type}`);
}

function findObjects(
  { library, session }: Open,
  template: Parameters<PKCS11['C_FindObjectsInit']>[1],
): Handle[] {
  library.C_FindObjectsInit(session, template);
  try {
    return library.C_FindObjects(session, 16);
  } finally {
    library.C_FindObjectsFinal(session);
  }
}

function guarded<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof BirthmarkError) throw cause;
    throw failed(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function failed(what: string, cause?: unknown): BirthmarkError {
  return new BirthmarkError('key-store-failed', what, { cause });
}
