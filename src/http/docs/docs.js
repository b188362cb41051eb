"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("docs"),
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  // The scope that an operation needs is x-scope.
  showExtensions: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  // The codes stand below what was shown only now.
  onComplete: () => document.getElementById(location.hash.slice(1))?.scrollIntoView(),
});
