// Shows the description. The online validator is off: nothing is fetched from, or told to, anyone else.
SwaggerUIBundle({
  url: "/api-docs",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
});
