"""Settings: TOML → a frozen, validated `Config`."""
