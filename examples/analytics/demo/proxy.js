// Owns the load balancer: requests go to the instances in turn.
'use strict';

const http = require('node:http');

/** Listens on a free port of the loopback; resolves to { url, close }. */
async function startProxy(instances) {
  const agent = new http.Agent({ keepAlive: true });
  let turn = 0;

  const server = http.createServer((request, response) => {
    const { name, port } = instances[turn++ % instances.length];
    const { method, url: path, headers } = request;
    const upstream = http.request({ agent, host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, { ...answer.headers, 'x-served-by': name });
      answer.pipe(response);
    });
    upstream.on('error', () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
    // A client that leaves early takes its request along; after a whole reply the connection is kept for the next one.
    response.on('close', () => {
      if (!response.writableFinished) upstream.destroy();
    });
    request.pipe(upstream);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));

  const close = () => {
    server.close();
    server.closeAllConnections();
    agent.destroy();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

module.exports = { startProxy };
