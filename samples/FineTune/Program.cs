using FineTune;
using OrtCpr.Graph.Adapters;

// A classifier that was trained on one task learns a related one from few examples: its head alone, then all of it, and by low-rank
// adapters.
string folder = args.Length > 0 ? args[0] : "finetune";
Directory.CreateDirectory(folder);
string PathOf(string name) => Path.Combine(folder, name);

string exported = Path.Combine(AppContext.BaseDirectory, "mlp.onnx");
Console.WriteLine("1. the classifier: 4000 examples of the first task, all parameters");
Sectors first = new(turn: 0, examples: 4000), second = new(turn: 0.35, examples: 160);
Stage.Train(exported, first, PathOf("trained.onnx"), 600, []);
Console.WriteLine($"   on the second task, untouched: {Stage.Accuracy(PathOf("trained.onnx"), second):P1}");

Console.WriteLine("2. the second task, 160 examples: the body is frozen by pattern, the head is trained, then all");
Stage.Train(PathOf("trained.onnx"), second, PathOf("head.onnx"), 200, ["layers.0.*", "layers.1.*"]);
Stage.Train(PathOf("head.onnx"), second, PathOf("all.onnx"), 200, [], learningRate: 1e-3);

Console.WriteLine("3. the second task again: adapters of rank 4 beside every weight, the body untouched, AdamCPR by warm start on the "
    + "adapters");
LoraAdapters.Attach(PathOf("trained.onnx"), PathOf("adapted.onnx"), new LoraOptions { Rank = 4, Alpha = 8 });
Stage.Train(PathOf("adapted.onnx"), second, PathOf("lora.onnx"), 400, [], trainOnly: [LoraAdapters.Parameters], learningRate: 5e-3);
LoraAdapters.Merge(PathOf("lora.onnx"), PathOf("merged.onnx"));
Console.WriteLine($"   merged into the weights: {Stage.Accuracy(PathOf("merged.onnx"), second):P1}; the adapters apart have "
    + $"{LoraAdapters.Read(PathOf("lora.onnx")).Values.Sum(t => t.ElementCount)} numbers");
