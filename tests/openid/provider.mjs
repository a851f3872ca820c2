// A real provider of identities (OpenID Connect), for the tests: it knows one client, and takes everybody who logs in for
// who they say they are. It prints its issuer when it listens.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [redirect] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "virtapi", client_secret: "the secret of virtapi", redirect_uris: [redirect] }],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    pkce: { required: () => true },
    cookies: { keys: ["of no use to anybody"] },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
