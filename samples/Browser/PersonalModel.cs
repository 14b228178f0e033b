using Microsoft.ML.OnnxRuntime;
using OrtCpr;
using OrtCpr.Graph;

namespace Browser;

// What the page sends: all parameters in the order of the runtime's flat buffer, and what it made of some drawings.
internal sealed record Trained(float[] Parameters, float[][] Images, float[][] Logits);

// What became of it: the file, and how far its results in stock ONNX Runtime are from the browser's.
internal sealed record Taken(string File, long Bytes, double LargestDifference, int SameDigits, int Drawings);

// The trained parameters back in .NET, as an ordinary ONNX model.
internal static class PersonalModel
{
    // Null and a reason where what came does not fit.
    public static (Taken? Taken, string? Problem) Take(TrainingPlan plan, Trained trained, string path)
    {
        long expected = plan.Trained.Sum(p => p.ElementCount);
        const int Ink = Drawings.Side * Drawings.Side;
        if (trained is not { Parameters: not null, Images: not null, Logits: not null }) return (null, "parameters, images or logits lack");
        if (trained.Parameters.Length != expected || !trained.Parameters.All(float.IsFinite))
            return (null, $"parameters: {trained.Parameters.Length} numbers came; expected {expected} finite ones");
        if (trained.Images.Length == 0 || trained.Images.Length != trained.Logits.Length || trained.Images.Any(i => i?.Length != Ink)
            || trained.Logits.Any(l => l?.Length != Drawings.Classes))
        {
            return (null, $"images and logits: expected as many of both, at least one, of {Ink} and {Drawings.Classes} numbers each");
        }
        using (var driver = new TrainingDriver(plan, new DriverOptions { Threads = 1 }))
        {
            driver.FromBuffer(TensorData.From<float>(trained.Parameters, expected), onlyTrainable: true);
            driver.ExportModel(path);
        }
        return (Compare(trained, path), null);
    }

    private static Taken Compare(Trained trained, string path)
    {
        using var session = new InferenceSession(path);
        using OrtValue images = OrtValue.CreateTensorValueFromMemory(trained.Images.SelectMany(i => i).ToArray(),
            [trained.Images.Length, 1, Drawings.Side, Drawings.Side]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["image"], [images], ["logits"]);
        float[][] here = [.. results[0].GetTensorDataAsSpan<float>().ToArray().Chunk(Drawings.Classes)];
        return new Taken(Path.GetFileName(path), new FileInfo(path).Length,
            here.Zip(trained.Logits, (a, b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max()).Max(),
            here.Zip(trained.Logits, (a, b) => Digit(a) == Digit(b) ? 1 : 0).Sum(), here.Length);
    }

    private static int Digit(float[] logits) => Array.IndexOf(logits, logits.Max());
}
