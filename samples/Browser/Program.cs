using Browser;

// Prepares a small model for training in a browser and serves the page that trains it.
return Settings.Run(args, Site.Run);
