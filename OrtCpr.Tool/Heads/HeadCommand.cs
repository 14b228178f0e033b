using System.CommandLine;
using System.Globalization;
using OrtCpr.Graph.Heads;

namespace OrtCpr.Tool.Heads;

// `ortcpr head MODEL --classes N --out FILE`: a model with a new head.
internal static class HeadCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<int?> classes = new("--classes") { Description = "Width of the new output; by default that of --class-names." };
        Option<string?> names = new("--class-names") { Description = "Names of the classes as A;B;C, for the model's metadata." };
        Option<string?> at = new("--at")
        {
            Description = "An output whose last linear layer is replaced, a node, or a tensor that the head reads; the first output by "
                + "default.",
        };
        Option<string?> pool = new("--pool")
        {
            Description = "auto, none, mean, cls or max: how tokens or pixels become one vector.",
        };
        Option<string?> mask = new("--mask") { Description = "The input that tells which tokens count; found by its name by default." };
        Option<double?> dropout = new("--dropout") { Description = "Share of the features that are dropped while training." };
        Option<bool> keep = new("--keep") { Description = "Keeps the outputs that are there beside the new one." };
        Option<bool> append = new("--append") { Description = "Puts the head on the output and replaces nothing." };
        Option<bool> last = new("--channels-last") { Description = "Features of pictures are [batch, height, width, channels]." };
        Option<string?> output = new("--output") { Description = "Name of the new output." };
        Option<int> seed = new("--seed") { Description = "Seed of the layer's first values." };
        Option<string> target = new("--out") { Description = "The model with the head.", DefaultValueFactory = _ => "head.onnx" };
        Command command = new("head",
            "Replaces the last linear layer of a model by one with classes of your own, or puts one on an encoder.\n\nExample:\n"
            + "  ortcpr head resnet18.onnx --classes 5 --class-names 'daisy;dandelion;rose;sunflower;tulip' --out flowers.onnx")
        {
            model, classes, names, at, pool, mask, dropout, keep, append, last, output, seed, target,
        };
        command.SetAction(r =>
        {
            (string Key, object? Value)[] parts =
            [
                ("classes", r.GetValue(classes)), ("names", r.GetValue(names)), ("at", r.GetValue(at)), ("pool", r.GetValue(pool)),
                ("mask", r.GetValue(mask)), ("dropout", r.GetValue(dropout)), ("output", r.GetValue(output)),
            ];
            string[] flags = [.. new[] { keep, append, last }.Where(f => r.GetValue(f)).Select(f => f.Name[2..])];
            string text = string.Join(',', parts.Where(p => p.Value is not null)
                .Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Key}={p.Value}")).Concat(flags));
            (DenseHead head, string? place) = HeadText.Parse(text, "head");
            ModelHead.Replace(r.GetValue(model)!, r.GetValue(target)!, place, head with { Seed = r.GetValue(seed) });
            Console.WriteLine(r.GetValue(target));
            return 0;
        });
        return command;
    }
}
