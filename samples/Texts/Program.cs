using Texts;

// MiniLM learns topics of sentences: a classifier by a new head, or by --pairs an encoder whose embeddings of one topic lie together.
return Settings.Run(args, (settings, cancellation) =>
    settings.Pairs ? SentencePairs.Run(settings, cancellation) : Classification.Run(settings, cancellation));
