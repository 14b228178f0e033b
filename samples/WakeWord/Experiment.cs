using OrtCpr.Data;
using Samples;

namespace WakeWord;

// Features once, then training, with figures before and after.
internal static class Experiment
{
    private const int Events = 11;

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        using var features = new Features();
        // The number of frames is the model's, that of steps the data's; both are known only when they are open.
        using (Detector probe = new(settings, 1)) return Run(settings, features, probe.Frames, cancellation);
    }

    private static int Run(Settings settings, Features features, int frames, CancellationToken cancellation)
    {
        int samples = Features.SamplesOf(frames);
        (Clip[] training, Clip[] test, Recording recording) = settings.Data is string folder ? Read(settings, folder, samples)
            : Made(settings, samples);
        Console.WriteLine($"{training.Length} sounds to train on ({training.Count(c => c.IsWord)} words), {test.Length} to test "
            + $"({test.Count(c => c.IsWord)} words), {samples / (double)Settings.SampleRate:F2} s each");
        long steps = settings.Epochs * (((long)training.Length + settings.BatchSize - 1) / settings.BatchSize);
        using Detector detector = new(settings, steps);
        (float[] Frames, bool IsWord)[] heard = [.. test.Select(c => (features.Of(c.Samples), c.IsWord))];
        Detection Measure() => Detection.Of([.. heard.Select(h => (detector.Scores(h.Frames)[0], h.IsWord))], settings.FalseAccepts);

        float[] whole = features.Of(recording.Samples);
        Console.WriteLine($"before: {Measure()}");
        double[] before = detector.Scores(whole);
        OrtCpr.FitResult fit = detector.Train(settings, training, features, cancellation);
        Detection after = Measure();
        Console.WriteLine($"after {fit.Steps} steps: {after}; {fit.ConstraintSummary}");
        double[] scores = detector.Scores(whole);
        Timeline line = new(recording, whole, frames, after.Threshold);
        Console.WriteLine($"in the recording: {line.Found(scores, isWord: true)} words found, "
            + $"{line.Found(scores, isWord: false)} other sounds taken for it");
        line.Save(Path.Combine(settings.Out, "recording.png"), before, scores);
        string model = Path.Combine(settings.Out, "model.onnx");
        detector.Export(model);
        Console.WriteLine($"model: {model}");
        return 0;
    }

    private static (Clip[], Clip[], Recording) Made(Settings settings, int samples)
    {
        Sounds sounds = new(settings.Seed);
        return (sounds.Make(settings.Sounds, samples, 1), sounds.Make(settings.Sounds / 2, samples, 2), sounds.Record(Events));
    }

    // A quarter of each class is for the test, and some of that, one after the other, is the recording.
    private static (Clip[], Clip[], Recording) Read(Settings settings, string folder, int samples)
    {
        using DataSource files = DataSource.FromWav(folder, new WavOptions { SampleRate = Settings.SampleRate, Samples = samples });
        string[] names = [.. files.Columns.Where(c => c.IsLabel).SelectMany(c => c.ClassNames)];
        int word = Array.IndexOf(names, settings.Word);
        if (word < 0)
        {
            throw new SampleException($"--data {folder} has {(names.Length == 0 ? "no folders of classes" : string.Join(", ", names))}; "
                + $"expected a folder '{settings.Word}' with the word, or another name by --word.");
        }
        (DataSource first, DataSource second) = files.SplitByClass(0.75);
        Clip[] training = Clips(first, word), test = Clips(second, word);
        if (new[] { training, test }.Any(part => part.All(c => c.IsWord) || !part.Any(c => c.IsWord)))
            throw new SampleException($"--data {folder}: expected at least two files of the word and two of another class.");
        Clip[] some = [.. test.Where(c => c.IsWord).Take(Events / 2).Zip(test.Where(c => !c.IsWord))
            .SelectMany(p => new[] { p.Second, p.First })];
        return (training, test, new Recording([.. some.SelectMany(c => c.Samples)],
            [.. some.Select((c, i) => (i * samples, (i + 1) * samples, c.IsWord))]));
    }

    private static Clip[] Clips(DataSource source, int word)
    {
        int label = source.Columns[0].IsLabel ? 0 : 1;
        return [.. Enumerable.Range(0, (int)source.Count).Select(row =>
        {
            byte[] bytes = new byte[source.Columns[1 - label].Length * sizeof(float)], target = new byte[sizeof(long)];
            source.Read(1 - label, row, bytes);
            source.Read(label, row, target);
            return new Clip(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray(),
                BitConverter.ToInt64(target) == word);
        })];
    }
}
