/** What calls `marker()` in a browser that takes it for more than words: as markup, and as an address. */

/** Short enough for every name that the server takes. */
export const hostileMarkup = '"><img src=x onerror=marker()>'

/** Ways past sanitizers that once were open, each. */
export const hostileMarkups = [
  hostileMarkup,
  '<script>marker()</script>',
  '<svg onload="marker()"><circle r="9"/></svg>',
  '<svg><script>marker()</script><animate onbegin="marker()" attributeName="x" dur="1s"/></svg>',
  '<details open ontoggle="marker()"><summary>More</summary></details>',
  '<iframe srcdoc="<script>parent.marker()</script>"></iframe>',
  '<iframe src="javascript:parent.marker()"></iframe>',
  '<object data="javascript:marker()"></object><embed src="javascript:marker()">',
  '<a href="javascript:marker()">Go</a><a href="&#106;avascript:marker()">Go</a>',
  '<form action="javascript:marker()"><input autofocus onfocus="marker()"><button formaction="javascript:marker()">Go</button></form>',
  '<input autofocus onfocus="marker()"><video autoplay onerror="marker()"><source src="x"></video>',
  '<meta http-equiv="refresh" content="0;url=javascript:marker()"><base href="javascript:/">',
  '<link rel="stylesheet" href="data:text/css,*{background:red}" onload="marker()">',
  '<style>@import "x"; * { display: none }</style>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=marker()&gt;">',
  '<noscript><p title="</noscript><img src=x onerror=marker()>"></noscript>',
  '<template><img src=x onerror=marker()></template>',
  '<svg><a xlink:href="javascript:marker()"><text y="20">Go</text></a><use href="data:image/svg+xml,x#y"/></svg>',
  '<img name="body" src=x onerror="marker()" style="position:fixed;inset:0" class="fixed">',
]

/** Each runs script in who follows it, or shows a page of the host's in the place of ours. */
export const hostileAddresses = [
  'javascript:marker()',
  'JaVaScRiPt:marker()',
  ' \u0001javascript:marker()',
  'java\nscript:marker()',
  'java\tscript:marker()',
  'javascript://example.com/%0amarker()',
  'data:text/html,<script>marker()</script>',
  'data:text/html;base64,PHNjcmlwdD5wYXJlbnQubWFya2VyKCk8L3NjcmlwdD4=',
  'vbscript:marker()',
  'view-source:javascript:marker()',
]
