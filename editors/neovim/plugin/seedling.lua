-- The optional part: ghost text where Seedling attaches, :Seedling, <Plug> mappings. No default keys.
-- Nothing of lua/seedling is loaded before it is needed. Needs Neovim 0.11 (vim.lsp.config).

if vim.g.loaded_seedling then
  return
end
vim.g.loaded_seedling = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify('Seedling needs Neovim 0.11 or later: older versions have no vim.lsp.config.', vim.log.levels.WARN)
  return
end

vim.lsp.config('seedling', {
  -- A canvas that is being written is drawn (denoise.lua): the server may send what it looks like.
  init_options = { seedling = { preview = true } },
  -- What Neovim 0.11 does not say of itself, this plugin can do. Without it the server answers plain completions.
  capabilities = { textDocument = { inlineCompletion = { dynamicRegistration = false } } },
  handlers = {
    didChangeStatus = function(_, params)
      require('seedling.status').set(params)
    end,
    ['seedling/canvas'] = function(_, frame)
      require('seedling.canvas').take(frame)
    end,
  },
})

if not vim.lsp.handlers['workspace/diagnostic/refresh'] then
  -- Neovim 0.11 pulls diagnostics after a change only: hints, which come in the pause behind it, would never be seen.
  vim.lsp.config('seedling', {
    capabilities = { workspace = { diagnostics = { refreshSupport = true } } },
    handlers = {
      ['workspace/diagnostic/refresh'] = function(_, _, context)
        local client = vim.lsp.get_client_by_id(context.client_id)
        for buffer in pairs(client and client.attached_buffers or {}) do
          local params = { textDocument = vim.lsp.util.make_text_document_params(buffer), identifier = 'seedling' }
          client:request('textDocument/diagnostic', params, nil, buffer)
        end
        return vim.NIL
      end,
    },
  })
end

local group = vim.api.nvim_create_augroup('seedling', {})

---@param events string|string[]
---@param desc string
---@param callback fun(event: table)
---@param pattern? string
local function on(events, desc, callback, pattern)
  desc = 'Seedling: ' .. desc
  vim.api.nvim_create_autocmd(events, { group = group, pattern = pattern, desc = desc, callback = callback })
end

---@param event table
---@return vim.lsp.Client?
local function client_of(event)
  local client = vim.lsp.get_client_by_id(event.data.client_id)
  return client and client.name == 'seedling' and client or nil
end

-- Neovim only logs that an enabled server is not there.
vim.api.nvim_create_autocmd('FileType', {
  group = group,
  pattern = 'python',
  once = true,
  desc = 'Seedling: say that the program is missing',
  callback = function()
    local cmd = vim.lsp.is_enabled('seedling') and vim.lsp.config.seedling.cmd
    if type(cmd) == 'table' and vim.fn.executable(cmd[1]) == 0 then
      vim.notify(('Seedling: `%s` is not on PATH; see :checkhealth seedling'):format(cmd[1]), vim.log.levels.WARN)
    end
  end,
})

on('LspAttach', 'show ghost text', function(event)
  local client = client_of(event)
  if not client then
    return
  end
  if vim.lsp.inline_completion then
    -- Else core's module, where the user has switched it on for other servers, would draw the same text once more.
    vim.lsp.inline_completion.enable(false, { client_id = client.id })
  end
  require('seedling.draw').define_highlights()
  require('seedling.suggest').watch(event.buf)
  require('seedling.next_edit').watch(event.buf)
  if event.buf == vim.api.nvim_get_current_buf() then
    require('seedling').entered(event.buf)
  end
end)

on('LspDetach', 'take ghost text away', function(event)
  if client_of(event) then
    require('seedling.suggest').unwatch(event.buf)
    require('seedling.next_edit').unwatch(event.buf)
    if package.loaded['seedling.canvas'] then
      require('seedling.canvas').server_gone(event.data.client_id)
    end
  end
end)

on('BufEnter', 'tell the server which document has the focus', function(event)
  if #vim.lsp.get_clients({ name = 'seedling' }) > 0 then
    require('seedling').entered(event.buf)
  end
end)

on('User', 'make way for the menu of blink.cmp', function()
  if package.loaded['seedling.suggest'] then
    vim.schedule(require('seedling.suggest').menu_changed)
  end
end, 'BlinkCmpMenu*')

for name, call in pairs({
  ['accept'] = 'accept',
  ['accept-word'] = 'accept_word',
  ['accept-line'] = 'accept_line',
  ['next'] = 'next',
  ['previous'] = 'previous',
  ['dismiss'] = 'dismiss',
  ['trigger'] = 'trigger',
}) do
  local run = ('<Cmd>lua require("seedling").%s()<CR>'):format(call)
  vim.keymap.set('i', ('<Plug>(seedling-%s)'):format(name), run, { desc = 'Seedling: ' .. name:gsub('-', ' ') })
end

for _, name in ipairs({ 'accept', 'dismiss', 'suggest' }) do
  local run = ('<Cmd>lua require("seedling").%s_edit()<CR>'):format(name)
  vim.keymap.set({ 'n', 'i' }, ('<Plug>(seedling-%s-edit)'):format(name), run, {
    desc = ('Seedling: %s next edit'):format(name),
  })
end

for _, name in ipairs({ 'accept', 'reject', 'retry' }) do
  local run = ('<Cmd>lua require("seedling").%s_rewrite()<CR>'):format(name)
  vim.keymap.set('n', ('<Plug>(seedling-%s-rewrite)'):format(name), run, {
    desc = ('Seedling: %s rewrite'):format(name),
  })
end
vim.keymap.set({ 'n', 'x' }, '<Plug>(seedling-rewrite)', '<Cmd>lua require("seedling").rewrite()<CR>', {
  desc = 'Seedling: rewrite the selection',
})
vim.keymap.set({ 'n', 'i' }, '<Plug>(seedling-watch)', '<Cmd>lua require("seedling").watch()<CR>', {
  desc = 'Seedling: watch a completion being written',
})

vim.api.nvim_create_user_command('Seedling', function(command)
  require('seedling.command').run(command.fargs, command.range > 0 and { command.line1, command.line2 } or nil)
end, {
  nargs = '*',
  range = true,
  desc = 'Seedling: status, toggle, snooze, trigger, rewrite, watch, restart, log, health',
  complete = function(typed, line)
    return require('seedling.command').complete(typed, line)
  end,
})
