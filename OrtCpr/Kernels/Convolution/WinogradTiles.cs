using System.Numerics;
using System.Runtime.CompilerServices;

namespace OrtCpr.Kernels;

/// <summary>Rows of tiles between images [N, C, H, W] and matrices at points [36, tiles, C].</summary>
/// <remarks>A lane is a channel. One call takes a row of tiles of one image; some tiles by one vector of channels at a
/// time go through a strip on the stack, whose elements are vectors. Each element of an image is read once for each row
/// of tiles that sees it and written to the strip; 144 bytes a tile and channel go to or come from the matrices, in
/// whole vectors next to each other. Nothing may overlap.</remarks>
internal static unsafe class WinogradTiles
{
    /// <summary>Tiles of a strip: (4·16 + 2) columns by 6 rows of vectors of 32 bytes are 12 KiB.</summary>
    private const int StripTiles = 16;

    private const int StripColumns = (StripTiles * WinogradSteps.Tile) + WinogradSteps.Kernel - 1;

    /// <summary>Images, as a kernel's tensors have them.</summary>
    internal readonly struct Images
    {
        public float* Data { get; init; }

        public nint Channels { get; init; }

        public nint Height { get; init; }

        public nint Width { get; init; }
    }

    /// <summary>Some channels of the matrices of a block.</summary>
    internal readonly struct Matrices
    {
        public float* Data { get; init; }

        /// <summary>Channels of a matrix, whole vectors.</summary>
        public nint Lanes { get; init; }

        /// <summary>Tiles, the matrix's rows.</summary>
        public nint Tiles { get; init; }

        /// <summary>The images' channel that the first one is.</summary>
        public nint FirstChannel { get; init; }
    }

    /// <summary>A row of tiles of an image to a row of tiles in the matrices.</summary>
    /// <typeparam name="TStep"><see cref="WinogradSteps.Input"/> or <see cref="WinogradSteps.OutputBack"/>.</typeparam>
    /// <param name="from">The images.</param>
    /// <param name="image">Which one.</param>
    /// <param name="top">Row of the image where the tiles begin; may be outside.</param>
    /// <param name="left">Column of the image where the first tile begins; may be outside.</param>
    /// <param name="tiles">Number of tiles.</param>
    /// <param name="to">The matrices.</param>
    /// <param name="first">The first tile in them.</param>
    [SkipLocalsInit]
    public static void Read<TStep>(in Images from, nint image, nint top, nint left, nint tiles, in Matrices to, nint first)
        where TStep : struct, IWinogradStep
    {
        nint lanes = Vector<float>.Count, point = to.Tiles * to.Lanes, height = TStep.Inputs;
        float* strip = stackalloc float[WinogradSteps.Points * StripColumns * Vector<float>.Count];
        for (nint done = 0; done < tiles; done += StripTiles)
        {
            nint some = nint.Min(StripTiles, tiles - done), columns = (some * WinogradSteps.Tile) + TStep.Inputs - WinogradSteps.Tile;
            for (nint c = 0; c < to.Lanes; c += lanes)
            {
                Gather(from, image, to.FirstChannel + c, top, left + (done * WinogradSteps.Tile), height, columns, strip);
                for (nint t = 0; t < some; t++)
                {
                    float* target = to.Data + ((first + done + t) * to.Lanes) + c;
                    WinogradSteps.Square<TStep>(strip + (t * WinogradSteps.Tile * lanes), columns
                        * lanes, lanes, target, WinogradSteps.Points * point, point);
                }
            }
        }
    }

    /// <summary>Zeros in the tiles of the matrices that no row of tiles writes.</summary>
    /// <param name="to">The matrices.</param>
    /// <param name="written">Tiles that rows write.</param>
    public static void ClearRest(in Matrices to, nint written)
    {
        for (nint q = 0; q < WinogradShape.Points; q++)
            new Span<float>(to.Data + (((q * to.Tiles) + written) * to.Lanes), (int)((to.Tiles - written) * to.Lanes)).Clear();
    }

    /// <summary>A row of tiles in the matrices to a row of 4 × 4 outputs of an image, cut off where the image ends.</summary>
    /// <param name="from">The matrices.</param>
    /// <param name="first">The first tile in them.</param>
    /// <param name="to">The images.</param>
    /// <param name="bias">What to add to each channel; null for nothing.</param>
    /// <param name="image">Which one.</param>
    /// <param name="top">Row of the image where the tiles begin.</param>
    /// <param name="tiles">Number of tiles.</param>
    [SkipLocalsInit]
    public static void Write(in Matrices from, nint first, in Images to, float* bias, nint image, nint top, nint tiles)
    {
        nint lanes = Vector<float>.Count, point = from.Tiles * from.Lanes;
        float* strip = stackalloc float[WinogradSteps.Tile * StripTiles * WinogradSteps.Tile * Vector<float>.Count];
        for (nint done = 0; done < tiles; done += StripTiles)
        {
            nint some = nint.Min(StripTiles, tiles - done), columns = some * WinogradSteps.Tile;
            for (nint c = 0; c < from.Lanes; c += lanes)
            {
                for (nint t = 0; t < some; t++)
                {
                    float* source = from.Data + ((first + done + t) * from.Lanes) + c;
                    WinogradSteps.Square<WinogradSteps.Output>(source, WinogradSteps.Points * point, point, strip
                        + (t * WinogradSteps.Tile * lanes), columns * lanes, lanes);
                }
                Scatter(strip, columns, to, bias, image, from.FirstChannel + c, top, done * WinogradSteps.Tile);
            }
        }
    }

    /// <summary>strip[row, column, lane] = image[channel + lane, top + row, left + column], zero outside.</summary>
    private static void Gather(in Images from, nint image, nint channel, nint top, nint left, nint height, nint columns, float* strip)
    {
        nint lanes = Vector<float>.Count, channels = nint.Min(lanes, from.Channels - channel);
        nint low = nint.Clamp(-left, 0, columns), high = nint.Clamp(from.Width - left, low, columns);
        if (channels < lanes || low > 0 || high < columns || top < 0 || top + height > from.Height)
            new Span<float>(strip, (int)(height * columns * lanes)).Clear();
        float* planes = from.Data + (((image * from.Channels) + channel) * from.Height * from.Width) + left;
        for (nint row = 0; row < height; row++)
        {
            nint line = top + row;
            if ((nuint)line >= (nuint)from.Height)
                continue;
            for (nint lane = 0; lane < channels; lane++)
            {
                float* source = planes + (((lane * from.Height) + line) * from.Width), target = strip + (row * columns * lanes) + lane;
                for (nint column = low; column < high; column++) target[column * lanes] = source[column];
            }
        }
    }

    /// <summary>The inverse transform, of Tile rows.</summary>
    private static void Scatter(float* strip, nint columns, in Images to, float* bias, nint image, nint channel, nint top, nint left)
    {
        nint lanes = Vector<float>.Count, channels = nint.Min(lanes, to.Channels - channel);
        nint rows = nint.Min(WinogradSteps.Tile, to.Height - top), wide = nint.Min(columns, to.Width - left);
        float* planes = to.Data + (((image * to.Channels) + channel) * to.Height * to.Width) + left;
        for (nint row = 0; row < rows; row++)
        {
            for (nint lane = 0; lane < channels; lane++)
            {
                float* target = planes + (((lane * to.Height) + top + row) * to.Width), source = strip + (row * columns * lanes) + lane;
                float shift = bias == null ? 0 : bias[channel + lane];
                for (nint column = 0; column < wide; column++) target[column] = source[column * lanes] + shift;
            }
        }
    }
}
