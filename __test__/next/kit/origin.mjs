// What the site renders from: answers a name with the name and how often it was asked for, and holds answers back while
// it is told to.
import { createServer } from 'node:http';

class Origin {
  #counts = new Map();
  #held = new Map();
  #server = createServer((request, response) => this.#answer(request.url.slice(1), response));

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  /** How often a name was asked for: once for each rendering. */
  count(name) {
    return this.#counts.get(name) ?? 0;
  }

  /** Holds back the answers of a name; the function that it returns lets them go. */
  hold(name) {
    let release;
    this.#held.set(
      name,
      new Promise((resolve) => {
        release = resolve;
      }),
    );
    return () => {
      this.#held.delete(name);
      release();
    };
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(name, response) {
    const count = this.count(name) + 1;
    this.#counts.set(name, count);
    await this.#held.get(name);
    response.setHeader('connection', 'close').end(`${name} ${count}`);
  }
}

export const startOrigin = () => new Origin().listen();
