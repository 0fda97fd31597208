// For machines where no disk can be mounted: loaded before `serve`, it lets the ledger's file grow no further after
// SIGUSR2, and again after the next one. SQLite then says what it says on a full disk.
import Database from 'better-sqlite3';

const opened = new Set<Database.Database>();
const { pragma } = Database.prototype;
Database.prototype.pragma = function (this: Database.Database, ...given) {
  opened.add(this);
  return pragma.apply(this, given);
};

const MOST_PAGES = 4_294_967_294;
let capped = false;
process.on('SIGUSR2', () => {
  capped = !capped;
  // One page is less than there are: SQLite takes it as "not one more".
  for (const db of opened) if (db.open) pragma.call(db, `max_page_count = ${capped ? 1 : MOST_PAGES}`);
});
