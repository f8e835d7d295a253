-- The optional part: ghost text where Seedling attaches, :Seedling, <Plug>(seedling-accept). No default keys.
-- Nothing of lua/seedling is loaded before it is needed. Needs Neovim 0.12 (vim.lsp.inline_completion).

if vim.g.loaded_seedling then
  return
end
vim.g.loaded_seedling = true

if vim.fn.has('nvim-0.12') == 0 then
  vim.notify('Seedling needs Neovim 0.12 or later: older versions cannot show ghost text.', vim.log.levels.WARN)
  return
end

-- The server tells its state with this notification (the shape is GitHub Copilot's).
vim.lsp.config('seedling', {
  handlers = {
    didChangeStatus = function(_, params)
      require('seedling').set_status(params)
    end,
  },
})

local group = vim.api.nvim_create_augroup('seedling', {})

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

vim.api.nvim_create_autocmd('LspAttach', {
  group = group,
  desc = 'Seedling: show ghost text',
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'seedling' then
      require('seedling').attach(client, event.buf)
    end
  end,
})

vim.keymap.set('i', '<Plug>(seedling-accept)', function()
  vim.lsp.inline_completion.get()
end, { desc = 'Seedling: accept the ghost text' })

vim.api.nvim_create_user_command('Seedling', function(command)
  require('seedling').command(command.fargs[1] or 'status')
end, {
  nargs = '?',
  desc = 'Seedling: status, toggle, restart, log',
  complete = function(typed)
    return vim.tbl_filter(function(name)
      return vim.startswith(name, typed)
    end, { 'log', 'restart', 'status', 'toggle' })
  end,
})
