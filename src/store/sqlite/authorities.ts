import type { AuthorityReads, AuthorityRecord, AuthorityWrites } from '../../ca/ports.ts';
import type { Connection } from './connection.ts';

export function authorityReads({ db, call }: Connection): AuthorityReads {
  const list = db.prepare<[], AuthorityRecord>(
    'SELECT name, certificate, issuer, created_at AS createdAt FROM authorities ORDER BY id',
  );
  return { listAuthorities: () => call(() => list.all()) };
}

export function authorityWrites({ db, call }: Connection): Omit<AuthorityWrites, keyof AuthorityReads> {
  const add = db.prepare<[string, Uint8Array, string, number]>(
    'INSERT INTO authorities (name, certificate, issuer, created_at) VALUES (?, ?, ?, ?)',
  );
  return {
    addAuthorities: (authorities) =>
      call(() => {
        for (const { name, certificate, issuer, createdAt } of authorities)
          add.run(name, certificate, issuer, createdAt);
      }),
  };
}
