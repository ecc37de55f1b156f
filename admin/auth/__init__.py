"""Who may use the API: Supabase tokens, the service role key, the allow-list."""
