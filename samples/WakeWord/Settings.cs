using Samples;

namespace WakeWord;

// What the command line asks for.
internal sealed record Settings
{
    public const int SampleRate = 16000;

    [Option("a folder of your own with a folder of WAV files for each class; default: sounds that are made here")]
    public string? Data { get; init; }
    [Option("the class of --data that is the wake word")] public string Word { get; init; } = "word";
    [Option("another head, such as openWakeWord's: features [batch, frames, 96] to scores [batch, 1]; default: its layout, untrained")]
    public string? Model { get; init; }
    [Option("sounds that are made to train on; a third of them are words, and half as many are made to test", Least = 30)]
    public int Sounds { get; init; } = 3000;
    [Option("times that all sounds are gone through", Least = 1)] public int Epochs { get; init; } = 20;
    [Option("sounds a batch", Least = 1)] public int BatchSize { get; init; } = 32;
    [Option("learning rate", Least = 0)] public double Lr { get; init; } = 1e-3;
    [Option("share of other sounds that may be taken for the word", Least = 0, Most = 1)]
    public double FalseAccepts { get; init; } = 0.01;
    [Option("of sounds, first weights and shuffles")] public long Seed { get; init; } = 1;
    [Option("0 for one a physical core", Least = 0)] public int Threads { get; init; }
    [Option("folder for all files")] public string Out { get; init; } = "wakeword";

    // Reads a command line and does what it asks for; gives the exit code.
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => RecordOptions.Run<Settings>(
        "Trains a wake word's head on features of sounds, and tests it on sounds that it has not heard.", words,
        (settings, cancellation) =>
        {
            Directory.CreateDirectory(settings.Out);
            return run(settings, cancellation);
        },
        (settings, given, problems) =>
        {
            if (settings.Data is null && given.Contains("--word")) problems.Add("--word names a class of --data; give --data too");
            if (settings.Data is not null && given.Contains("--sounds")) problems.Add("--sounds are made here; leave it out beside --data");
        });
}
