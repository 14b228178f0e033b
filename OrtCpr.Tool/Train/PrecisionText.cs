using System.CommandLine;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Train;

// A precision as a word of the command line.
internal static class PrecisionText
{
    private static readonly Dictionary<string, Precision> Words = new(StringComparer.Ordinal)
    {
        ["f32"] = Precision.Float32,
        ["tf32"] = Precision.TensorFloat32,
        ["bf16"] = Precision.BFloat16,
        ["f16"] = Precision.Float16,
    };

    public static Option<string> NewOption() => new("--precision")
    {
        Description = "Numbers of the products of training: f32, tf32 (CUDA), bf16, f16 with a loss scale. On the CPU for checking only.",
        DefaultValueFactory = _ => "f32",
    };

    public static Precision Read(string word) => RuleOptions.Choose(Words, word, "--precision");

    public static string Of(Precision precision) => Words.First(w => w.Value == precision).Key;
}
