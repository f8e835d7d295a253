-- The options of the plugin, from vim.g.seedling. What the server does is set through vim.lsp.config (see the help).
-- Leaves out: any option that the server has as a setting.

local M = {}

---@class seedling.Options
---@field ghost_text? boolean Ghost text as you type, in all buffers. Default: true.
---@field delay_ms? integer Milliseconds without a key before the server is asked. Default: 50.

---@type seedling.Options
local defaults = {
  ghost_text = true,
  -- As VS Code waits, and what the server expects: it joins questions that come as fast.
  delay_ms = 50,
}

---@param name string
---@param value any
---@return string? sentence What is wrong with an option.
local function complaint(name, value)
  if defaults[name] == nil then
    local known = table.concat(vim.fn.sort(vim.tbl_keys(defaults)), ', ')
    return ('vim.g.seedling has no option %q; there are %s'):format(name, known)
  end
  if type(value) ~= type(defaults[name]) then
    return ('vim.g.seedling.%s must be a %s, not %s'):format(name, type(defaults[name]), vim.inspect(value))
  end
end

---@return seedling.Options options Usable ones only.
---@return string[] sentences One for each option that is ignored.
function M.read()
  local given = vim.g.seedling
  if given ~= nil and type(given) ~= 'table' then
    return vim.deepcopy(defaults), { 'vim.g.seedling must be a table, not ' .. vim.inspect(given) }
  end
  local options, sentences = vim.deepcopy(defaults), {}
  for name, value in pairs(given or {}) do
    local sentence = complaint(name, value)
    if sentence then
      table.insert(sentences, sentence)
    else
      options[name] = value
    end
  end
  return options, sentences
end

return M
