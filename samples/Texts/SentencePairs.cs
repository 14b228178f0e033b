using System.Collections.Immutable;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Losses;
using OrtCpr.Logging;
using Samples;

namespace Texts;

// A sentence encoder: the mean of its tokens, through a linear layer that begins as the identity, is trained so that two sentences of one
// topic are nearer to each other than to those of the other topics.
internal static class SentencePairs
{
    private const string Output = "embedding";

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        MiniLm encoder = MiniLm.Open(settings);
        using Topics topics = new(settings, encoder);
        int width = WidthOf(encoder.Model);
        string layered = settings.PathOf("untrained.onnx"), trained = settings.PathOf("encoder.onnx");
        ModelHead.Replace(encoder.Model, layered, null, new DenseHead { Classes = width, Name = Output, Output = Output });
        PairOrder order = new(topics.Training, settings.Seeds[0]);
        long steps = settings.AllEpochs * ((order.Source.Count + order.BatchSize - 1) / order.BatchSize);
        using TrainingDriver driver = TrainingDriver.Create(layered, new TrainingOptions
        {
            Loss = new InfoNceLoss { Output = Output, Temperature = 0.1 },
            InitialParameters = ImmutableDictionary.CreateRange(StringComparer.Ordinal, Identity(width)),
            Optimizer = new() { Groups = [Settings.Rule("AdamCPR", settings.AllLr, steps)] },
        }, new DriverOptions { Threads = settings.Threads });
        Embeddings before = Embeddings.Of(driver, topics, Output);
        Show("the encoder as it came", before);
        FitResult result = new Trainer(driver).Fit(
            new DataLoader(order.Source, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = order.BatchSize, Order = order.Of }),
            new FitOptions { Epochs = settings.AllEpochs, Callbacks = [ProgressBar.ToStandardError()] }, cancellation);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{result.Steps} steps of {order.BatchSize / 2} pairs: loss {result.Epochs[0].Loss:F3} in the first epoch, "
            + $"{result.Epochs[^1].Loss:F3} in the last; {result.ConstraintSummary}"));
        driver.ExportModel(trained);
        File.Delete(layered);
        Embeddings after = Embeddings.Of(driver, topics, Output);
        Show("after training on pairs", after);
        Map.Save(settings.PathOf("pairs.png"), topics.Names, ("encoder as it came", before), ("after training on pairs", after));
        Console.WriteLine($"model: {trained}");
        return 0;
    }

    private static int WidthOf(string model)
    {
        using var session = new InferenceSession(model);
        return session.OutputMetadata.First() is { Value.Dimensions: [.., > 0 and int width] } ? width
            : throw new SampleException($"The first output of '{model}' does not tell its width; expected [batch, tokens, width].");
    }

    private static void Show(string what, Embeddings embeddings)
    {
        int more = Math.Max(1, Math.Min(10, embeddings.Classes.CountBy(c => c).Min(c => c.Value) - 1));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what}: recall at 1 {embeddings.SameTopic(1):P1}; of the {more} nearest {embeddings.SameTopic(more):P1} are of the topic"));
    }

    private static Dictionary<string, TensorData> Identity(int width)
    {
        float[] weight = new float[width * width];
        for (int i = 0; i < width; i++) weight[i * (width + 1)] = 1;
        return new()
        {
            [$"{Output}.weight"] = TensorData.From<float>(weight, width, width),
            [$"{Output}.bias"] = TensorData.From<float>(new float[width], width),
        };
    }
}
