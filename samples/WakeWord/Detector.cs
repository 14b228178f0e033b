using System.Collections.Immutable;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Logging;
using Samples;

namespace WakeWord;

// The head: frames of features in, the chance that the word has been said out.
internal sealed class Detector : IDisposable
{
    private readonly TrainingDriver _driver;
    private readonly string _input;

    public Detector(Settings settings, long steps)
    {
        string model = settings.Model ?? Path.Combine(AppContext.BaseDirectory, "wakeword.onnx");
        ConstrainNorm constraint = new() { Bound = Bound.AfterSteps(Math.Max(1, steps / 4)) };
        TrainingOptions options = new()
        {
            // Takes what stands in front of the model's Sigmoid.
            Loss = new BceWithLogitsLoss(),
            Seed = settings.Seed,
            Optimizer = new() { Groups = [UpdateRule.AdamCpr(settings.Lr, constraint: constraint)] },
        };
        try
        {
            _driver = TrainingDriver.Create(model, options, new DriverOptions { Threads = settings.Threads });
        }
        catch (OptionException error)
        {
            throw new SampleException($"--model {model} is no head with one score [batch, 1]: {error.Message}");
        }
        BatchInput[] inputs = [.. _driver.Plan.BatchInputs.Where(i => !i.IsLabel)];
        if (inputs is [{ Dimensions: [_, string frames, "96"] } only] && int.TryParse(frames, out int count))
        {
            (_input, Frames) = (only.Name, count);
            return;
        }
        string found = string.Join(", ", inputs.Select(i => i.ToString()));
        _driver.Dispose();
        throw new SampleException($"--model {model} takes {found}; expected one input of features [batch, frames, {Features.Bands}].");
    }

    // That the model looks at together.
    public int Frames { get; }

    public FitResult Train(Settings settings, Clip[] clips, Features features, CancellationToken cancellation)
    {
        using DataSource source = DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["features"] = TensorData.From<float>([.. clips.SelectMany(c => features.Of(c.Samples))], clips.Length, Frames, Features.Bands),
            ["target"] = TensorData.From<float>([.. clips.Select(c => c.IsWord ? 1f : 0)], clips.Length, 1),
        });
        var loader = new DataLoader(source, _driver.Plan.BatchInputs, new DataLoaderOptions
        {
            BatchSize = settings.BatchSize,
            Seed = settings.Seed,
            Columns = ImmutableDictionary.CreateRange(StringComparer.Ordinal, new Dictionary<string, string> { [_input] = "features" }),
        });
        return new Trainer(_driver).Fit(loader,
            new FitOptions
            {
                Epochs = settings.Epochs,
                // Scores of single steps move about; those of the mean weights less.
                WeightAverage = 0.99,
                Callbacks = [ProgressBar.ToStandardError()],
            }, cancellation);
    }

    // Of every stretch of so many frames, the first one first.
    public double[] Scores(float[] frames)
    {
        int count = (frames.Length / Features.Bands) - Frames + 1, size = Frames * Features.Bands;
        float[] windows = new float[count * size];
        for (int i = 0; i < count; i++) frames.AsSpan(i * Features.Bands, size).CopyTo(windows.AsSpan(i * size));
        using Batch batch = new Batch().Add(_input, windows, count, Frames, Features.Bands);
        string output = _driver.Plan.ModelOutputs[0];
        using Prediction prediction = _driver.Predict(batch, output);
        return [.. prediction[output].GetTensorDataAsSpan<float>().ToArray().Select(v => (double)v)];
    }

    public void Export(string path) => _driver.ExportModel(path);

    public void Dispose() => _driver.Dispose();
}
