-- The prose in all formats from one reading of it: `pandoc lua prose.lua IN.md REFERENCES.bib STYLE.csl OUT` reads the
-- Markdown, resolves citations and section references once, and writes OUT.<format> for each format and OUT.toc.
-- One process instead of one a format, because starting pandoc costs more than the work itself.
-- A raw piece whose format is `hole-SEAL`, with SEAL the last argument, stands where a number, a table or a figure goes,
-- and is handed on as it is; the author's and the bibliography's are refused. Without the blocks of metadata the prose
-- cannot name files for pandoc to read.

local source, bibliography, style, out, seal = table.unpack(arg)
local HOLE = "hole-" .. seal

local READER = "markdown-raw_html-raw_tex-native_divs-native_spans-implicit_figures+gfm_auto_identifiers"
  .. "-yaml_metadata_block-pandoc_title_block-latex_macros"
local FORMATS = {
  markdown = { writer = "gfm-raw_html+raw_attribute", raw = "gfm" },
  latex = { writer = "latex", raw = "latex" },
  html = { writer = "html5", raw = "html" },
  typst = { writer = "typst-citations", raw = "typst" },
}
local FLUSH = { latex = "\\flushfloats", typst = "#place.flush()" }
local APPENDIX = { latex = "\\flushfloats\n\\appendix", typst = "#place.flush()\n#show: appendix\n#let floating = in-order" }
local NEW_PAGE = { latex = "\\newpage", typst = "#pagebreak(weak: true)" }

local function fail(message)
  io.stderr:write(message, "\n")
  os.exit(1)
end

local function read(path)
  local file = io.open(path, "r") or fail("cannot read " .. path)
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = io.open(path, "w") or fail("cannot write " .. path)
  file:write(text, "\n")
  file:close()
end

-- Where the list of references goes: before the appendix, under its own heading, unless the prose has a place for it.
local function with_references(doc)
  local placed = false
  doc:walk { Div = function(div) placed = placed or div.identifier == "refs" end }
  if placed then return doc end
  local position = #doc.blocks + 1
  for index, block in ipairs(doc.blocks) do
    if block.t == "Header" and block.classes:includes("appendix") then position = index break end
  end
  local attributes = pandoc.Attr("references", { "unnumbered" })
  doc.blocks:insert(position, pandoc.Header(1, "References", attributes))
  doc.blocks:insert(position + 1, pandoc.Div({}, pandoc.Attr("refs")))
  return doc
end

-- Numbers of sections as the typesetters count them: 1, 1.1, and A, A.1 from the first heading of class `appendix`.
local function number_sections(doc)
  local numbers, toc, first, second, appendix = {}, pandoc.List(), 0, 0, false
  doc:walk { Header = function(header)
    local number = ""
    if header.level <= 2 and not header.classes:includes("unnumbered") then
      if header.level == 1 then
        if header.classes:includes("appendix") and not appendix then appendix, first = true, 0 end
        first, second = first + 1, 0
      else
        second = second + 1
      end
      local chapter = appendix and string.char(64 + first) or tostring(first)
      number = header.level == 1 and chapter or chapter .. "." .. second
    end
    numbers[header.identifier] = { number = number, title = pandoc.utils.stringify(header), appendix = appendix }
    if header.level <= 2 then
      local title = pandoc.utils.stringify(header)
      toc:insert { level = header.level, id = header.identifier, number = number, title = title }
    end
  end }
  return numbers, toc
end

-- A link without text to a section, `[](#sec:setup)`, gets the section's number as its text.
local function resolve(doc, numbers)
  return doc:walk { Link = function(link)
    if #link.content > 0 or link.target:sub(1, 1) ~= "#" then return end
    local section = numbers[link.target:sub(2)]
    if not section then fail("the prose refers to section " .. link.target .. ", and no heading has this identifier") end
    local label = section.number == "" and section.title or (section.appendix and "Appendix " or "Section ") .. section.number
    link.content = pandoc.Inlines(label:gsub(" ", "\u{a0}"))
    return link
  end }
end

local function anchor(identifier)
  return pandoc.RawInline("gfm", '<a id="' .. identifier .. '"></a>')
end

local function as_raw(format)
  return function(raw)
    if raw.format == HOLE then
      raw.format = format
      return raw
    end
  end
end

-- The summary has the first page to itself: the first numbered section begins a new one. Tables and figures of the text
-- stand before the references and the appendix.
local function heading(name, numbers)
  local switched, begun = false, false
  return function(header)
    local section = numbers[header.identifier]
    if name == "markdown" or name == "html" then
      header.level = header.level + 1 -- the first level is the title of the report
    end
    if name == "markdown" then
      if section.number ~= "" then header.content:insert(1, pandoc.Str(section.number .. " ")) end
      header.content:insert(1, anchor(header.identifier))
    elseif name == "html" then
      if section.number ~= "" then
        header.content:insert(1, pandoc.Span(section.number, pandoc.Attr("", { "number" })))
      end
    elseif not NEW_PAGE[name] then -- another format without pages
      return header
    elseif section.number ~= "" and not begun then
      begun = true
      return { pandoc.RawBlock(name, NEW_PAGE[name]), header }
    elseif section.appendix and not switched then
      switched = true
      return { pandoc.RawBlock(name, APPENDIX[name]), header }
    elseif header.identifier == "references" then
      return { pandoc.RawBlock(name, FLUSH[name]), header }
    end
    return header
  end
end

-- Numbers that the authors typed are marked on the page, so that each can be told from what the machine printed.
local stated = {
  traverse = "topdown",
  Cite = function(cite) return cite, false end,
  Header = function(header) return header, false end,
  Link = function(link) return link, false end,
  Span = function(span) return span, false end,
  Div = function(div) if div.identifier == "refs" then return div, false end end,
  Str = function(text)
    if text.text:find("%d") then return pandoc.Span(text, pandoc.Attr("", { "stated" })), false end
  end,
}

-- GitHub's Markdown has no divisions: an entry of the references becomes a paragraph with an anchor before it.
local function flatten(div)
  local blocks = div.content
  if div.identifier:sub(1, 4) == "ref-" and blocks[1] and blocks[1].content then
    blocks[1].content:insert(1, anchor(div.identifier))
  end
  return blocks
end

-- The prose may not bring what a page would run or fetch: attributes, images, links with other schemes. Nor a class or an
-- identifier, by which one page would hide what the others show, set what is typed like a number of ours, or take the place
-- of what a number leads to. A heading has an identifier of its own, and code a language.
local CLASSES = { Header = { appendix = true, unnumbered = true }, Span = { bound = true } } -- `bound` is prose.py's
local WANTED = "; expected only {#identifier .appendix .unnumbered}, of a heading"

local function refuse_attributes(element)
  for name in pairs(element.attributes) do
    fail("the prose gives the attribute " .. name .. " to a " .. element.t .. WANTED)
  end
  for _, class in ipairs(element.t == "CodeBlock" and {} or element.classes) do
    if not (CLASSES[element.t] or {})[class] then
      fail("the prose gives the class " .. class .. " to a " .. element.t .. WANTED)
    end
  end
  if element.t ~= "Header" and element.identifier ~= "" and not (element.t == "Div" and element.identifier == "refs") then
    fail("the prose gives the identifier " .. element.identifier .. " to a " .. element.t .. WANTED)
  end
end

local function refuse_scheme(link)
  local scheme = link.target:match("^%s*([^/?#]-):")
  if scheme and not ({ http = true, https = true, mailto = true })[scheme:lower()] then
    fail("the prose links to " .. link.target .. "; expected https://, mailto: or #identifier")
  end
  refuse_attributes(link)
end

local function refuse_image(image)
  fail("the prose has the image " .. image.src .. "; declare a figure in figures.yaml and place it by figure(...)")
end

-- `^^5c` spells a backslash for TeX and for nobody else; after a % TeX reads nothing, and the others do.
local function refuse_spelling(math)
  local text = math.text:gsub("\\\\", ""):gsub("\\%%", "")
  if text:find("^^", 1, true) or text:find("%", 1, true) then
    fail("the prose has the formula " .. math.text .. "; expected one without ^^ and without comments")
  end
end

-- The holes that the machinery made; any other raw piece is refused.
local function refuse_raw(raw)
  if seal == "" or raw.format ~= HOLE then
    fail("a text would pass to " .. raw.format .. " as it stands: " .. raw.text .. "; write it as text")
  end
end

local doc = pandoc.read(read(source), READER)
doc.meta = {}
doc:walk {
  Link = refuse_scheme, Image = refuse_image, Header = refuse_attributes, Div = refuse_attributes,
  Span = refuse_attributes, Code = refuse_attributes, CodeBlock = refuse_attributes, Table = refuse_attributes,
}
doc.meta.bibliography, doc.meta.csl, doc.meta["link-citations"] = bibliography, style, true
local cited, result = pcall(pandoc.utils.citeproc, with_references(doc))
if not cited then
  local told = tostring(result):gsub("\n?stack traceback.*", ""):gsub("%s+", " ") -- the place stands in the second line
  fail("references.bib or numeric.csl cannot be used: " .. told)
end
doc = result
doc:walk { RawInline = refuse_raw, RawBlock = refuse_raw }
doc:walk { Link = refuse_scheme, Image = refuse_image, Math = refuse_spelling } -- what the bibliography brought, too
local numbers, toc = number_sections(doc)
doc = resolve(doc, numbers)
for name, format in pairs(FORMATS) do
  local filter = { RawInline = as_raw(format.raw), RawBlock = as_raw(format.raw), Header = heading(name, numbers) }
  if name ~= "markdown" then -- no colours in code: they need definitions that our templates do not have
    filter.CodeBlock = function(block) return pandoc.CodeBlock(block.text) end
  else
    filter.Div = flatten
  end
  if name ~= "html" then filter.Span = function(span) return span.content end end
  local marked = name == "html" and doc:walk(stated) or doc
  write(out .. "." .. name, pandoc.write(marked:walk(filter), format.writer, {
    html_math_method = "mathml", wrap_text = "none", top_level_division = "section", number_sections = name == "latex",
  }))
end
write(out .. ".toc", pandoc.json.encode(toc))
