import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

const OWNED = "must belong to a Scope (src/core/scope.ts), so that it ends with its owner";
const calls = (name, method) => [
  { selector: `CallExpression[callee.name="${name}"]`, message: `${name} ${OWNED}: use ${method}` },
  { selector: `CallExpression[callee.property.name="${name}"]`, message: `${name} ${OWNED}: use ${method}` },
];
const constructs = (name, method) => [
  { selector: `NewExpression[callee.name="${name}"]`, message: `${name} ${OWNED}: use ${method}` },
];

export default tseslint.config(
  eslint.configs.recommended,
  ...tseslint.configs.strict,
  {
    rules: {
      "@typescript-eslint/no-dynamic-delete": "off", // probe counters are plain records
      "@typescript-eslint/no-empty-function": "off", // disposers that have nothing to do
      "no-undef": "off", // TypeScript knows
      "max-lines": ["error", { max: 300 }],
      "no-restricted-syntax": [
        "error",
        ...calls("addEventListener", "scope.listen"),
        ...calls("setTimeout", "scope.timeout"),
        ...calls("setInterval", "scope.interval"),
        ...calls("requestAnimationFrame", "scope.frame"),
        ...constructs("ResizeObserver", "scope.resize"),
        ...constructs("MutationObserver", "scope.mutations"),
        ...constructs("IntersectionObserver", "scope.visibility"),
      ],
    },
  },
  { files: ["src/core/scope.ts"], rules: { "no-restricted-syntax": "off" } }, // the primitive itself
  { files: ["src/core/messages.gen.ts"], rules: { "max-lines": "off" } }, // generated
);
